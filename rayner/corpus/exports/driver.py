"""The way of all exports: documents in, files out, each whole or not there."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rayner.corpus.exports.shape import Choices, Format, Write
from rayner.corpus.tables import TaggedDocument, iter_documents
from rayner.errors import ConfigError, DataError
from rayner.runs.storage import Place, names_in, remove, replacing, sweep

_PART = re.compile(r"part-(\d{5,})")


@dataclass(frozen=True)
class ExportCounts:
    """What an export wrote. What its format cannot hold (`Format.held`) is not among it."""

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


def export(
    tagged: Place,
    out: Place,
    form: Format,
    *,
    tags: Mapping[str, str] | None = None,
    choices: Choices | None = None,
    keep: bool = False,
    progress: Callable[[ExportCounts], None] = lambda counts: None,
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
    tags, choices, tally = tags or {}, choices or Choices(), _Tally()
    for kind, name in tags.items():
        if not form.legal(name):
            raise ConfigError(f"tags: expected for {kind} a name that the format can spell, found {name!r}")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, found a file")
    read = _spelled(iter_documents(tagged), tagged, form, tags, tally, progress)
    if form.shard:
        _write_parts(read, out, form, choices, keep)
    else:
        for document in read:
            for suffix, write in form.files.items():
                _write(_target(out, document.doc_id, suffix), write, iter([document]), choices, keep)
    for name, data in form.beside(sorted(set(tally.names.values()))).items():
        with replacing(out / name) as stream:
            stream.write(data)
    sweep(out)
    return tally.counts()


def _spelled(
    documents: Iterator[TaggedDocument],
    tagged: Place,
    form: Format,
    tags: Mapping[str, str],
    tally: _Tally,
    progress: Callable[[ExportCounts], None],
) -> Iterator[TaggedDocument]:
    """The documents with their types as the format calls them, counted."""
    for document in documents:
        for row in document.entities:
            kind = row["type"]
            if kind not in tally.names:
                name = tags.get(kind) or form.tags.get(kind) or form.other.format(kind)
                if not form.legal(name):
                    where = f"{tagged}: document {document.doc_id!r}"
                    raise DataError(f"{where}: expected a type that the format can spell, found {kind!r}")
                tally.names[kind] = name
            row["type"] = tally.names[kind]
        characters, entities = form.held(document)
        tally.documents += 1
        tally.characters += characters
        tally.entities += entities
        yield document
        progress(tally.counts())


def _write(path: Place, write: Write, documents: Iterator[TaggedDocument], choices: Choices, keep: bool) -> None:
    """Write a file, or pass over the documents of one that is kept."""
    if keep and path.exists():
        for _ in documents:
            pass
        return
    with replacing(path) as stream:
        write(stream, documents, choices)


def _write_parts(documents: Iterator[TaggedDocument], out: Place, form: Format, choices: Choices, keep: bool) -> None:
    ((suffix, write),) = form.files.items()
    folder = out / form.folder if form.folder else out
    number = -1
    for number, part in enumerate(parts(documents, form.shard)):
        _write(folder / f"part-{number:05d}{suffix}", write, part, choices, keep)
    for name in names_in(folder, "part-", suffix):
        match = _PART.fullmatch(name.removesuffix(suffix))
        if match and int(match[1]) > number:
            remove(folder / name)


def parts(documents: Iterator[TaggedDocument], size: int) -> Iterator[Iterator[TaggedDocument]]:
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
            if following is not None and held + len(following.text) > size:
                return

    yield part()
    while following is not None:
        yield part()


def _target(out: Place, doc_id: str, suffix: str) -> Place:
    """The file of a document. Raises DataError for a doc_id that leads out of `out`, by `..` or by a link there."""
    path = out / f"{doc_id}{suffix}"
    odd = any(part in ("", ".", "..") for part in doc_id.split("/")) or "\0" in doc_id
    if odd or (isinstance(path, Path) and not path.resolve().is_relative_to(Path(str(out)).resolve())):
        raise DataError(f"{out}: expected a doc_id that names a file below this folder, found {doc_id!r}")
    return path
