"""Write the documents of a tagged corpus to files in an export format. Each file is written atomically."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, WriteFile
from rayner.corpus.tables import TaggedDocument, iter_documents
from rayner.errors import ConfigError, DataError
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names, remove_file, remove_temporary_files

_PART_NAME = re.compile(r"part-(\d{5,})")


@dataclass(frozen=True)
class ExportCounts:
    """The numbers of documents, characters and entities that an export wrote.

    Characters and entities that the format cannot represent do not count (`ExportFormat.count_exported`).
    """

    documents: int = 0
    characters: int = 0
    entities: int = 0


@dataclass
class _ExportProgress:
    """The counts so far, and the name of each type in the files."""

    documents: int = 0
    characters: int = 0
    entities: int = 0
    name_by_type: dict[str, str] = field(default_factory=dict)

    def counts(self) -> ExportCounts:
        return ExportCounts(self.documents, self.characters, self.entities)


@dataclass(frozen=True)
class _FileWriter:
    """A writer with the options of an export. If `keep_existing` is true, it does not change files that exist."""

    options: ExportOptions
    keep_existing: bool

    def write_or_keep_existing(
        self, path: StoragePath, write_file: WriteFile, documents: Iterator[TaggedDocument]
    ) -> None:
        """Write a file. If an existing file is kept, only consume its documents."""
        if self.keep_existing and path.exists():
            for _ in documents:
                pass
            return
        with atomic_writer(path) as stream:
            write_file(stream, documents, self.options)


def export_corpus(
    tagged: StoragePath,
    out: StoragePath,
    export_format: ExportFormat,
    *,
    type_names: Mapping[str, str] | None = None,
    options: ExportOptions | None = None,
    keep_existing: bool = False,
    on_progress: Callable[[ExportCounts], None] = lambda counts: None,
) -> ExportCounts:
    """Write a tagged corpus in a format. Only one file and one document of the corpus are in memory at a time.

    In some formats each document has its own files, `out/<doc_id><suffix>`. Other formats write many documents to each
    file. Their files are named `part-00000<suffix>` and so on, and the same corpus is always divided in the same way.
    Files of an earlier export are replaced. Part files that are not needed any more are removed.

    Args:
        tagged: The folder of the tagged corpus.
        out: The folder to write.
        export_format: The format.
        type_names: Names of entity types that replace the names of the format.
        options: The options that the user chose.
        keep_existing: Whether to keep the files of an interrupted export. That export must have had the same corpus and
            the same options.
        on_progress: Called after each document with the counts so far.

    Raises:
        ConfigError: The format cannot write a name in `type_names`.
        DataError: `tagged` is not a tagged corpus, `out` is a file, a doc_id leads out of `out`, or the format cannot
            write a type.
        OSError: A file cannot be written.

    """
    for entity_type, name in (type_names or {}).items():
        if not export_format.is_legal_name(name):
            raise ConfigError(f"tags: expected for {entity_type} a name that the format can write, found {name!r}")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, found a file")
    progress, writer = _ExportProgress(), _FileWriter(options or ExportOptions(), keep_existing)
    documents = _rename_types_and_count(
        iter_documents(tagged), tagged, export_format, type_names or {}, progress, on_progress
    )
    if export_format.chars_per_file:
        _replace_part_files(documents, out, export_format, writer)
    else:
        for document in documents:
            for suffix, write_file in export_format.writers.items():
                writer.write_or_keep_existing(
                    _build_safe_document_path(out, document.doc_id, suffix), write_file, iter([document])
                )
    for name, data in export_format.extra_files(sorted(set(progress.name_by_type.values()))).items():
        with atomic_writer(out / name) as stream:
            stream.write(data)
    remove_temporary_files(out)
    return progress.counts()


def _rename_types_and_count(
    documents: Iterator[TaggedDocument],
    tagged: StoragePath,
    export_format: ExportFormat,
    type_names: Mapping[str, str],
    progress: _ExportProgress,
    on_progress: Callable[[ExportCounts], None],
) -> Iterator[TaggedDocument]:
    """Replace each entity type by its name in the format, count the documents, and yield them."""
    name_by_type = progress.name_by_type
    for document in documents:
        for entity in document.entities:
            entity_type = entity["type"]
            if entity_type not in name_by_type:
                name = type_names.get(entity_type) or export_format.name_type(entity_type)
                if not export_format.is_legal_name(name):
                    raise DataError(
                        f"{tagged}: document {document.doc_id!r}: "
                        f"expected a type that the format can write, found {entity_type!r}"
                    )
                name_by_type[entity_type] = name
            entity["type"] = name_by_type[entity_type]
        n_chars, n_entities = export_format.count_exported(document)
        progress.documents += 1
        progress.characters += n_chars
        progress.entities += n_entities
        yield document
        on_progress(progress.counts())


def _replace_part_files(
    documents: Iterator[TaggedDocument], out: StoragePath, export_format: ExportFormat, writer: _FileWriter
) -> None:
    ((suffix, write_file),) = export_format.writers.items()
    folder = out / export_format.folder if export_format.folder else out
    n_parts = 0
    for part in group_documents(documents, export_format.chars_per_file):
        writer.write_or_keep_existing(folder / f"part-{n_parts:05d}{suffix}", write_file, part)
        n_parts += 1
    for name in list_file_names(folder, "part-", suffix):
        match = _PART_NAME.fullmatch(name.removesuffix(suffix))
        if match and int(match[1]) >= n_parts:
            remove_file(folder / name)


def group_documents(documents: Iterator[TaggedDocument], max_chars: int) -> Iterator[Iterator[TaggedDocument]]:
    """Group documents, in order. A group has at most `max_chars` characters, or is a single longer document.

    There is at least one group. A group must be consumed before the next group is requested.
    """
    upcoming = next(documents, None)

    def take_group() -> Iterator[TaggedDocument]:
        nonlocal upcoming
        n_chars = 0
        while upcoming is not None:
            yield upcoming
            n_chars += len(upcoming.text)
            upcoming = next(documents, None)
            if upcoming is not None and n_chars + len(upcoming.text) > max_chars:
                return

    yield take_group()
    while upcoming is not None:
        yield take_group()


def _build_safe_document_path(out: StoragePath, doc_id: str, suffix: str) -> StoragePath:
    """Return the path of a document's file. Raises DataError if the doc_id is unsafe or a link leads out of `out`."""
    path = out / f"{doc_id}{suffix}"
    is_unsafe = any(part in ("", ".", "..") for part in doc_id.split("/")) or "\0" in doc_id
    if is_unsafe or (isinstance(path, Path) and not path.resolve().is_relative_to(Path(str(out)).resolve())):
        raise DataError(f"{out}: expected a doc_id that names a file below this folder, found {doc_id!r}")
    return path
