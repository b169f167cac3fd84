"""Read corrected sentences, and write them as a labelled file for training."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from rayner.corpus.exports.evahan import format_evahan_sentences
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labels.json_values import read_json_file
from rayner.corpus.labels.label_studio_tasks import read_submitted_annotations, read_task_text
from rayner.corpus.review.labelled_output import write_labelled_output
from rayner.corpus.review.provenance import Provenance, spans_to_json
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.messages import shorten_repr
from rayner.text.spans import Span, crop_spans

# A text, and the entities of each annotation of the text. The list is empty if nobody reviewed the text.
_AnnotatedText = tuple[str, list[tuple[Span, ...]]]


@dataclass
class Corrections:
    """Corrected sentences.

    spans_by_text: The entities of each sentence, by its text.
    source_by_text: The name of the file from which each sentence was read, by its text.
    conflicts: How often a text was read again with different entities. The entities that were read last are used.
    unreviewed: The number of tasks without annotations.
    """

    spans_by_text: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    source_by_text: dict[str, str] = field(default_factory=dict)
    conflicts: int = 0
    unreviewed: int = 0

    def add(self, text: str, spans: tuple[Span, ...], source: str) -> None:
        """Add a corrected sentence."""
        self.conflicts += self.spans_by_text.get(text, spans) != spans
        self.spans_by_text[text], self.source_by_text[text] = spans, source

    def count_changed(self, provenance: Provenance) -> int:
        """Return the number of sentences whose entities differ from the predicted entities."""
        return sum(spans != provenance.by_text[text].predicted for text, spans in self.spans_by_text.items())


def read_corrections(paths: Iterable[StoragePath], provenance: Provenance, types: Collection[str]) -> Corrections:
    """Read the corrected sentences in the files, in order.

    Args:
        paths: JSON exports of Label Studio (`.json`), and labelled files in any layout that is recognised.
        provenance: The sentences that were given to the reviewer.
        types: The entity types that may occur.

    Raises:
        DataError: A text was changed or was not given to the reviewer. Or an entity is out of range, overlaps another
            entity or has an unknown type. The message names the file and the line or the task.

    """
    corrections = Corrections()
    for path in paths:
        read_texts = _read_label_studio_tasks if path.suffix == ".json" else _read_labelled_sentences
        for text, annotations in read_texts(path, provenance, types):
            corrections.unreviewed += not annotations
            for spans in annotations:
                corrections.add(text, spans, path.name)
    return corrections


def write_corrections(corrections: Corrections, provenance: Provenance, out: StoragePath) -> None:
    """Write the char-tab-tag file `out`, and beside it the file `NAME.provenance.json`.

    The second file records where each sentence comes from. Raises ConfigError if one of the files exists and this
    command did not write it, or somebody changed it since.
    """
    sentences = [
        {
            **provenance.by_text[text].to_json(),
            "labels": spans_to_json(spans),
            "source": corrections.source_by_text[text],
        }
        for text, spans in corrections.spans_by_text.items()
    ]
    text = format_evahan_sentences(corrections.spans_by_text.items())
    write_labelled_output(out, text, {"types": list(provenance.types), "sentences": sentences})


def _read_label_studio_tasks(
    path: StoragePath, provenance: Provenance, types: Collection[str]
) -> Iterator[_AnnotatedText]:
    tasks = read_json_file(path)
    if not isinstance(tasks, list):
        raise DataError(f"{path}: expected a list of tasks, as Label Studio exports as JSON, found another JSON file")
    for i, task in enumerate(tasks):
        location = f"{path}: task {i + 1}"
        text = read_task_text(task, location)
        _check_text_in_provenance(text, provenance, location)
        annotations = read_submitted_annotations(task, text, location)
        for span in (span for spans in annotations for span in spans):
            if span.type not in types:
                raise DataError(
                    f"{location}: expected a type of {', '.join(sorted(types))}, found {shorten_repr(span.type)}: "
                    "correct it, or name further types by --types"
                )
        yield text, annotations


def _read_labelled_sentences(
    path: StoragePath, provenance: Provenance, types: Collection[str]
) -> Iterator[_AnnotatedText]:
    """Read the sentences of a labelled file. A sentence is a text of the file, or what blank lines separate."""
    labelled = read_labelled_file(path, types=types)
    boundaries = sorted({0, *labelled.text_starts, *labelled.blank_line_offsets, len(labelled.text)})

    def format_location(offset: int) -> str:
        if labelled.layout != "evahan":
            return f"{path}: text {bisect_right(boundaries, offset)}"
        return f"{path}:{offset + 1 + bisect_right(labelled.blank_line_offsets, offset)}"

    block_spans = [crop_spans(labelled.spans, start, end) for start, end in pairwise(boundaries)]
    if sum(map(len, block_spans)) < len(labelled.spans):
        crossing = next(s for s in labelled.spans if any(s.start < cut < s.end for cut in boundaries))
        location = format_location(crossing.start)
        raise DataError(f"{location}: expected entities that end with their sentence, found one that goes on")
    for (start, end), spans in zip(pairwise(boundaries), block_spans, strict=True):
        text = labelled.text[start:end]
        _check_text_in_provenance(text, provenance, format_location(start))
        yield text, [spans]


def _check_text_in_provenance(text: str, provenance: Provenance, location: str) -> None:
    """Raise DataError if a text was not given to the reviewer.

    The message shows where the text differs from the sentence with the longest common prefix.
    """
    if text in provenance.by_text:
        return
    nearest = max(provenance.by_text, key=lambda other: _common_prefix_length(text, other), default="")
    n_common = _common_prefix_length(text, nearest)
    found = "another"
    if n_common:
        changed, original = text[n_common : n_common + 10], nearest[n_common : n_common + 10]
        found = f"{changed!r} where {original!r} stood, after {n_common} characters"
    raise DataError(f"{location}: expected the unchanged text of a sentence that was given out, found {found}")


def _common_prefix_length(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
