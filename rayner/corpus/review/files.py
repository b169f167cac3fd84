"""Sentences on their way to a reviewer and back: tasks out, corrected ones in, as training data.

What is written for the reviewer has a side-car, `provenance.json`: of each sentence where it lies, its text and what
was predicted. What comes back is held against it, so no text can have changed on the way.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import rayner
from rayner.corpus import label_studio
from rayner.corpus.exports import format_evahan_lines
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.review.ranking import ReviewCandidate
from rayner.corpus.review.selection import PickedSentences
from rayner.corpus.text_files import read_utf8
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import write_json
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.spans import Span, crop_spans

REVIEW_FORMATS = ("label-studio", "evahan")
PROVENANCE_FILE, TASKS_FILE, CONFIG_FILE, SENTENCES_FILE = (
    "provenance.json",
    "tasks.json",
    "config.xml",
    "sentences.txt",
)
Sentence = dict[str, Any]  # a sentence of a provenance: doc_id, start, end, sha256, text, predicted

# ---- out


def write_review(picked: PickedSentences, out: StoragePath, file_format: str) -> None:
    """Write `out`: the side-car, and tasks with their configuration, or a char-tab-tag file with blank lines between.

    Raises ConfigError if such files lie there: they may have been corrected.
    """
    for name in (PROVENANCE_FILE, TASKS_FILE, SENTENCES_FILE):
        if (out / name).exists():
            raise ConfigError(f"{out}: expected a folder without an earlier review, found {name}")
    sentences = [_sentence(candidate) for candidate in picked.candidates]
    if file_format == "label-studio":
        write_json(out / TASKS_FILE, [_task(c, s) for c, s in zip(picked.candidates, sentences, strict=True)])
        _write(out / CONFIG_FILE, label_studio.build_labelling_config(picked.types))
    else:
        _write(out / SENTENCES_FILE, format_char_tab_tag((c.text, c.spans) for c in picked.candidates))
    about = {"version": rayner.__version__, "types": list(picked.types), "sentences": sentences}
    write_json(out / PROVENANCE_FILE, about)  # the last, since it is what import needs


def _sentence(candidate: ReviewCandidate) -> Sentence:
    return {
        "doc_id": candidate.doc_id,
        "start": candidate.start,
        "end": candidate.end,
        "sha256": hashlib.sha256(candidate.text.encode()).hexdigest(),
        "text": candidate.text,
        "predicted": _plain(candidate.spans),
    }


def _task(candidate: ReviewCandidate, sentence: Sentence) -> dict[str, Any]:
    meta = {key: sentence[key] for key in ("doc_id", "start", "end", "sha256")}
    return label_studio.build_task(candidate.text, candidate.spans, meta)


def _plain(spans: Iterable[Span]) -> list[list[Any]]:
    return [[span.start, span.end, span.type] for span in spans]


def format_char_tab_tag(sentences: Iterable[tuple[str, Sequence[Span]]]) -> str:
    """Texts with their entities as a char-tab-tag file, blank lines between."""
    return "\n".join("".join(f"{line}\n" for line in format_evahan_lines(text, spans)) for text, spans in sentences)


def _write(path: StoragePath, content: str) -> None:
    with atomic_writer(path) as stream:
        stream.write(content.encode())


# ---- in


@dataclass(frozen=True)
class Provenance:
    """What was given out: the sentences by their texts, and the types that may occur."""

    types: tuple[str, ...] = ()
    sentences: Mapping[str, Sentence] = field(default_factory=dict)


def read_provenance(paths: Iterable[StoragePath]) -> Provenance:
    """The side-cars of one review or several, as one. Raises DataError for a file that is none."""
    types, sentences = set[str](), dict[str, Sentence]()
    for path in paths:
        found = _json(path)
        try:
            rows, own = list(found["sentences"]), list(found["types"])
            json.dumps(found, ensure_ascii=False).encode()  # JSON may hold half a character, "\ud800"
            if any(row["sha256"] != hashlib.sha256(row["text"].encode()).hexdigest() for row in rows):
                raise DataError(f"{path}: expected texts with the digests beside them, found another")
            if not all(isinstance(part, str) for part in own) or not all(
                isinstance(row["predicted"], list) for row in rows
            ):
                raise TypeError
        except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
            raise DataError(f"{path}: expected the {PROVENANCE_FILE} of a review, found another JSON file") from None
        types.update(own)
        sentences.update({row["text"]: row for row in rows})
    return Provenance(tuple(sorted(types)), sentences)


@dataclass
class Corrections:
    """What came back: of each text its entities, and the file that has them.

    conflicts: how often a text came again with other labels, which then count; unreviewed: tasks without annotations.
    """

    spans_by_text: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    source_by_text: dict[str, str] = field(default_factory=dict)
    conflicts: int = 0
    unreviewed: int = 0

    def add(self, text: str, spans: tuple[Span, ...], source: str) -> None:
        """Take in a corrected sentence."""
        self.conflicts += self.spans_by_text.get(text, spans) != spans
        self.spans_by_text[text], self.source_by_text[text] = spans, source

    def count_changed(self, provenance: Provenance) -> int:
        """How many sentences have other entities than were predicted."""
        return sum(
            _plain(spans) != provenance.sentences[text]["predicted"] for text, spans in self.spans_by_text.items()
        )


def read_corrections(paths: Iterable[StoragePath], provenance: Provenance, types: Collection[str]) -> Corrections:
    """The corrected sentences of files in order: Label Studio's JSON exports (`.json`), others char-tab-tag.

    types: those that may occur. Raises DataError, naming the file and the line or task, for a text that was changed or
    never given out, an entity that is out of range, overlaps another or is of an unknown type.
    """
    found = Corrections()
    for path in paths:
        read = _tasks(path, provenance, types) if path.suffix == ".json" else _blocks(path, provenance, types)
        for text, versions in read:
            found.unreviewed += not versions
            for spans in versions:
                found.add(text, spans, path.name)
    return found


def write_corrections(corrected: Corrections, provenance: Provenance, out: StoragePath) -> None:
    """Write `out`, char-tab-tag, and beside it where its sentences come from, `NAME.provenance.json`."""
    sentences = [
        {**provenance.sentences[text], "labels": _plain(spans), "source": corrected.source_by_text[text]}
        for text, spans in corrected.spans_by_text.items()
    ]
    write_json(out.parent / f"{out.stem}.{PROVENANCE_FILE}", {"types": list(provenance.types), "sentences": sentences})
    _write(out, format_char_tab_tag(corrected.spans_by_text.items()))


def _tasks(
    path: StoragePath, known: Provenance, types: Collection[str]
) -> Iterator[tuple[str, list[tuple[Span, ...]]]]:
    """Each task's text, and its annotations."""
    items = _json(path)
    if not isinstance(items, list):
        raise DataError(f"{path}: expected a list of tasks, as Label Studio exports as JSON, found another JSON file")
    for i, item in enumerate(items):
        where = f"{path}: task {i + 1}"
        text = label_studio.read_task_text(item, where)
        _check_text(text, known, where)
        versions = label_studio.read_annotations(item, where)
        for span in (span for spans in versions for span in spans):
            if span.type not in types:
                raise DataError(f"{where}: expected a type of {', '.join(sorted(types))}, found {span.type!r}")
        yield text, versions


def _blocks(
    path: StoragePath, known: Provenance, types: Collection[str]
) -> Iterator[tuple[str, list[tuple[Span, ...]]]]:
    """Each sentence between blank lines."""
    labelled = read_labelled_file(path, types=types)
    cuts = sorted({0, *labelled.blank_line_offsets, len(labelled.text)})

    def where(offset: int) -> str:
        return f"{path}:{offset + 1 + bisect_right(labelled.blank_line_offsets, offset)}"

    inside = [crop_spans(labelled.spans, start, end) for start, end in pairwise(cuts)]
    if sum(map(len, inside)) < len(labelled.spans):
        crossing = next(s for s in labelled.spans if any(s.start < cut < s.end for cut in cuts))
        raise DataError(
            f"{where(crossing.start)}: expected entities that end with their sentence, found one that goes on"
        )
    for (start, end), spans in zip(pairwise(cuts), inside, strict=True):
        _check_text(labelled.text[start:end], known, where(start))
        yield labelled.text[start:end], [spans]


def _check_text(text: str, known: Provenance, where: str) -> None:
    """Raise DataError for a text that was not given out, telling where it leaves the one that is most like it."""
    if text in known.sentences:
        return
    near = max(known.sentences, key=lambda other: _common(text, other), default="")
    at = _common(text, near)
    found = f"{text[at : at + 10]!r} where {near[at : at + 10]!r} stood, after {at} characters" if at else "another"
    raise DataError(f"{where}: expected the unchanged text of a sentence that was given out, found {found}")


def _common(a: str, b: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _json(path: StoragePath) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(read_utf8(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, found: {error}") from None
