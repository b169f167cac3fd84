"""The way of all exports: documents in, files out, each whole or not there."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, WriteFile
from rayner.corpus.tables import TaggedDocument, iter_documents
from rayner.errors import ConfigError, DataError
from rayner.runs.storage import StoragePath, atomic_writer, list_file_names, remove_file, remove_temporary_files

_PART = re.compile(r"part-(\d{5,})")


@dataclass(frozen=True)
class ExportCounts:
    """What an export wrote. What its format cannot hold (`ExportFormat.held`) is not among it."""

    documents: int = 0
    characters: int = 0
    entities: int = 0


@dataclass
class _Tally:
    """What went through so far, and what its types are called in the files."""

    documents: int = 0
    characters: int = 0
    entities: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def counts(self) -> ExportCounts:
        return ExportCounts(self.documents, self.characters, self.entities)


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
    """Write a tagged corpus in a format, with one file and one document of the corpus in memory at a time.

    A document has its own files, `out/<doc_id><suffix>`, with the subfolders that its doc_id names; or, in a format of
    many documents a file, they lie in `part-00000<suffix>` and so on, always cut at the same documents. Files of an
    earlier export are replaced (and such parts as this one does not need removed) or, with `keep`, kept: those of one
    that was interrupted, of the same corpus with the same choices.

    tags: what to call types, where the format's own name is not wanted.
    Raises ConfigError for a name in `tags` that the format cannot spell, DataError if `tagged` is not a tagged corpus,
    `out` not a folder, a doc_id leads out of it or a type cannot be spelled, and OSError if a file cannot be written.
    """
    type_names, options, tally = type_names or {}, options or ExportOptions(), _Tally()
    for kind, name in type_names.items():
        if not export_format.is_legal_name(name):
            raise ConfigError(f"tags: expected for {kind} a name that the format can spell, found {name!r}")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, found a file")
    read = _spelled(iter_documents(tagged), tagged, export_format, type_names, tally, on_progress)
    if export_format.chars_per_file:
        _write_parts(read, out, export_format, options, keep_existing)
    else:
        for document in read:
            for suffix, write in export_format.writers.items():
                _write(_target(out, document.doc_id, suffix), write, iter([document]), options, keep_existing)
    for name, data in export_format.extra_files(sorted(set(tally.names.values()))).items():
        with atomic_writer(out / name) as stream:
            stream.write(data)
    remove_temporary_files(out)
    return tally.counts()


def _spelled(
    documents: Iterator[TaggedDocument],
    tagged: StoragePath,
    form: ExportFormat,
    tags: Mapping[str, str],
    tally: _Tally,
    progress: Callable[[ExportCounts], None],
) -> Iterator[TaggedDocument]:
    """The documents with their types as the format calls them, counted."""
    for document in documents:
        for row in document.entities:
            kind = row["type"]
            if kind not in tally.names:
                name = tags.get(kind) or form.type_names.get(kind) or form.other_type_name.format(kind)
                if not form.is_legal_name(name):
                    where = f"{tagged}: document {document.doc_id!r}"
                    raise DataError(f"{where}: expected a type that the format can spell, found {kind!r}")
                tally.names[kind] = name
            row["type"] = tally.names[kind]
        characters, entities = form.count_exported(document)
        tally.documents += 1
        tally.characters += characters
        tally.entities += entities
        yield document
        progress(tally.counts())


def _write(
    path: StoragePath, write: WriteFile, documents: Iterator[TaggedDocument], choices: ExportOptions, keep: bool
) -> None:
    """Write a file, or pass over the documents of one that is kept."""
    if keep and path.exists():
        for _ in documents:
            pass
        return
    with atomic_writer(path) as stream:
        write(stream, documents, choices)


def _write_parts(
    documents: Iterator[TaggedDocument], out: StoragePath, form: ExportFormat, choices: ExportOptions, keep: bool
) -> None:
    ((suffix, write),) = form.writers.items()
    folder = out / form.folder if form.folder else out
    number = -1
    for number, part in enumerate(group_documents(documents, form.chars_per_file)):
        _write(folder / f"part-{number:05d}{suffix}", write, part, choices, keep)
    for name in list_file_names(folder, "part-", suffix):
        match = _PART.fullmatch(name.removesuffix(suffix))
        if match and int(match[1]) > number:
            remove_file(folder / name)


def group_documents(documents: Iterator[TaggedDocument], max_chars: int) -> Iterator[Iterator[TaggedDocument]]:
    """The documents in parts of up to `size` characters, or of a longer document alone; at least one part.

    Each part must be used up before the next is taken.
    """
    following = next(documents, None)

    def part() -> Iterator[TaggedDocument]:
        nonlocal following
        held = 0
        while following is not None:
            yield following
            held += len(following.text)
            following = next(documents, None)
            if following is not None and held + len(following.text) > max_chars:
                return

    yield part()
    while following is not None:
        yield part()


def _target(out: StoragePath, doc_id: str, suffix: str) -> StoragePath:
    """The file of a document. Raises DataError for a doc_id that leads out of `out`, by `..` or by a link there."""
    path = out / f"{doc_id}{suffix}"
    odd = any(part in ("", ".", "..") for part in doc_id.split("/")) or "\0" in doc_id
    if odd or (isinstance(path, Path) and not path.resolve().is_relative_to(Path(str(out)).resolve())):
        raise DataError(f"{out}: expected a doc_id that names a file below this folder, found {doc_id!r}")
    return path
