"""Write the documents of a tagged corpus to files in an export format. Each file is written atomically.

Nothing of the user's is overwritten: see `rayner.runs.output_folder`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rayner.corpus.exports.document_paths import build_document_path
from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, WriteFile
from rayner.corpus.tables import TaggedDocument, iter_documents
from rayner.errors import ConfigError, DataError
from rayner.runs.output_folder import OutputFolder, open_output_folder
from rayner.runs.storage import StoragePath, remove_temporary_files
from rayner.text.messages import shorten_repr


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
    """A writer with the options of an export. If `keep_existing` is true, it keeps files of an interrupted export."""

    folder: OutputFolder
    options: ExportOptions
    keep_existing: bool

    def write_or_keep_existing(self, name: str, write_file: WriteFile, documents: Iterator[TaggedDocument]) -> None:
        """Write a file. If an existing file is kept, only consume its documents."""
        if self.keep_existing and self.folder.keep_if_exists(name):
            for _ in documents:
                pass
            return
        with self.folder.writer(name) as stream:
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
    `build_document_path` says how a doc_id that cannot be a path is written.

    `out` is new, empty, or the folder of an earlier export in the same format. The files of that export are replaced or
    removed if nobody has changed them since.

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
        ConfigError: The format cannot write a name in `type_names`, or `out` holds files that this format's export did
            not write or that were changed since.
        DataError: `tagged` is not a tagged corpus, two documents have the same doc_id, or the format cannot write a
            type.
        OSError: A file cannot be written.

    """
    for entity_type, name in (type_names or {}).items():
        if not export_format.is_legal_name(name):
            raise ConfigError(
                f"tags: expected for {entity_type} a name that the format can write, found {shorten_repr(name)}"
            )
    progress, purpose = _ExportProgress(), f"export {export_format.name}".rstrip()
    documents = _rename_types_and_count(
        iter_documents(tagged), tagged, export_format, type_names or {}, progress, on_progress
    )
    with open_output_folder(out, purpose, keep_existing=keep_existing) as folder:
        writer = _FileWriter(folder, options or ExportOptions(), keep_existing)
        _write_documents(documents, export_format, writer)
        for name, data in export_format.extra_files(sorted(set(progress.name_by_type.values()))).items():
            with folder.writer(name) as stream:
                stream.write(data)
    remove_temporary_files(out)
    return progress.counts()


def _write_documents(documents: Iterator[TaggedDocument], export_format: ExportFormat, writer: _FileWriter) -> None:
    if export_format.chars_per_file:
        ((suffix, write_file),) = export_format.writers.items()
        for number, part in enumerate(group_documents(documents, export_format.chars_per_file)):
            writer.write_or_keep_existing(f"{export_format.folder}part-{number:05d}{suffix}", write_file, part)
        return
    for document in documents:
        for suffix, write_file in export_format.writers.items():
            name = build_document_path(document.doc_id, suffix, export_format.writers)
            writer.write_or_keep_existing(name, write_file, iter([document]))


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
                        f"{tagged}: document {shorten_repr(document.doc_id)}: "
                        f"expected a type that the format can write, found {shorten_repr(entity_type)}"
                    )
                name_by_type[entity_type] = name
            entity["type"] = name_by_type[entity_type]
        n_chars, n_entities = export_format.count_exported(document)
        progress.documents += 1
        progress.characters += n_chars
        progress.entities += n_entities
        yield document
        on_progress(progress.counts())


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
