"""Split labelled texts into sentences, divide the sentences into train, dev and test, and store them as JSON lines."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rayner.runs.json_files import START_OVER, parse_json
from rayner.text.json_records import damaged_record_error, parse_record, record_to_json
from rayner.text.labelled_text import LabelledFile, LabelledSentence
from rayner.text.passages import assign_fold_by_text, assign_part_by_text
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span, sort_and_check_spans


def split_file_into_sentences(labelled: LabelledFile) -> list[LabelledSentence]:
    """Split the texts of a labelled file into sentences. A sentence belongs to one text.

    The sentences joined are the texts joined. Every entity is in exactly one sentence.
    """
    sentences: list[LabelledSentence] = []
    remaining = deque(labelled.spans)
    for start, end in labelled.text_bounds():
        spans = []
        while remaining and remaining[0].start < end:
            spans.append(remaining.popleft().shift(-start))
        sentences += split_labelled_text(labelled.text[start:end], spans)
    return sentences


def split_labelled_text(text: str, spans: Sequence[Span]) -> list[LabelledSentence]:
    """Split a labelled text into sentences with their entities. Sentences that share an entity stay together.

    The sentences joined are the text. Every entity is in exactly one sentence.
    """
    sentences: list[LabelledSentence] = []
    remaining = list(reversed(sort_and_check_spans(spans, len(text))))
    start = 0
    for _, end in split_sentences(text):
        sentence_spans: list[Span] = []
        n_remaining = len(remaining)
        while n_remaining and remaining[n_remaining - 1].start < end:
            n_remaining -= 1
            sentence_spans.append(remaining[n_remaining].shift(-start))
        if sentence_spans and sentence_spans[-1].end > end - start:
            continue  # the last entity crosses this end
        del remaining[n_remaining:]
        sentences.append(LabelledSentence(text[start:end], tuple(sentence_spans)))
        start = end
    return sentences


def split_train_dev_test(
    sentences: Sequence[LabelledSentence], dev_share: float, test_share: float, seed: int
) -> dict[str, list[LabelledSentence]]:
    """Divide the passages of sentences into `train`, `dev` and `test` at random. The order of sentences is kept.

    All copies of a text go into the same part, so no sentence is in both the training part and the test part. The
    shares refer to distinct texts (`assign_part_by_text`).
    """
    part_by_text = assign_part_by_text(sentences, (dev_share, test_share), seed)
    parts: dict[str, list[LabelledSentence]] = {"train": [], "dev": [], "test": []}
    for sentence in sentences:
        parts[("dev", "test", "train")[part_by_text[sentence.text]]].append(sentence)
    return parts


def split_folds(sentences: Sequence[LabelledSentence], n_folds: int, seed: int) -> list[list[LabelledSentence]]:
    """Divide the passages of sentences into folds at random (`assign_fold_by_text`). The order of sentences is kept.

    With fewer passages than folds, the sentences are divided one by one, so that no fold is empty.
    """
    fold_by_text = assign_fold_by_text(sentences, n_folds, seed)
    if len(set(fold_by_text.values())) < n_folds:
        fold_by_text = assign_fold_by_text([replace(sentence, passage=None) for sentence in sentences], n_folds, seed)
    return [[sentence for sentence in sentences if fold_by_text[sentence.text] == i] for i in range(n_folds)]


def write_labelled_sentences(path: Path, sentences: Iterable[LabelledSentence]) -> None:
    """Write the text, the spans and the passage of each sentence as a JSON object, one on each line."""
    with open(path, "w", encoding="utf-8", newline="\n") as lines:
        for sentence in sentences:
            spans = tuple((span.start, span.end, span.type) for span in sentence.spans)
            row = record_to_json(_Row(sentence.text, spans, sentence.passage))
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_labelled_sentences(path: Path) -> list[LabelledSentence]:
    """Read a file that `write_labelled_sentences` wrote.

    Raises OSError, or DamagedFileError, which names the line, for other content.
    """
    sentences = []
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            row = parse_record(
                _Row, parse_json(line, where, START_OVER), where, expected="a labelled sentence", remedy=START_OVER
            )
            try:
                sentences.append(LabelledSentence(row.text, _check_spans(row), row.passage))
            except ValueError as error:  # spans that overlap or leave the text
                raise damaged_record_error(where, str(error), START_OVER) from None
    return sentences


@dataclass(frozen=True)
class _Row:
    """A line of the file."""

    text: str
    spans: tuple[tuple[int, int, str], ...]
    passage: int | None = None


def _check_spans(row: _Row) -> tuple[Span, ...]:
    """Return the spans of a line. Raises ValueError if they overlap or leave the text."""
    return sort_and_check_spans([Span(*span) for span in row.spans], len(row.text))
