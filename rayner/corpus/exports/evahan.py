"""EvaHan format: a line `char<TAB>tag` for each character, with BMES tags.

A line break in the text cannot be written in this way. It becomes a blank line, which programs that read the format
skip.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, get_entity_spans, make_text_writer
from rayner.corpus.tables import TaggedDocument
from rayner.corpus.text_files import TEXT_SUFFIX
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import spans_to_tags

_LINE_BREAK = re.compile(r"\r?\n")


def format_evahan_lines(text: str, spans: Iterable[Span], blank_line_offsets: Iterable[int] = ()) -> Iterator[str]:
    r"""Yield the lines of a text with its entities, without line ends: `char<TAB>tag`, or "" for a line break.

    A `\r` without a following `\n` is an ordinary character. An entity that consists only of line breaks is left out.

    Args:
        text: The text.
        spans: The entities of the text.
        blank_line_offsets: Offsets before which to add blank lines (`LabelledFile.blank_line_offsets`).

    Raises:
        ValueError: Spans overlap or exceed the text.

    """
    is_written = np.ones(len(text) + 1, dtype=np.int64)
    line_breaks = [match.span() for match in _LINE_BREAK.finditer(text)]
    for start, end in line_breaks:
        is_written[start:end] = 0
    n_written = np.cumsum(is_written) - is_written  # characters written before each offset
    checked_spans = sort_and_check_spans(spans, len(text))
    moved_spans = [Span(int(n_written[span.start]), int(n_written[span.end]), span.type) for span in checked_spans]
    tags = spans_to_tags((span for span in moved_spans if span.start < span.end), int(n_written[-1]))
    blank_offsets = (*blank_line_offsets, *(start for start, _ in line_breaks))
    n_blank_lines = Counter(int(n_written[offset]) for offset in blank_offsets)
    for i, (char, tag) in enumerate(zip(_LINE_BREAK.sub("", text), tags, strict=True)):
        yield from [""] * n_blank_lines[i]
        yield f"{char}\t{tag}"
    yield from [""] * n_blank_lines[len(tags)]


def format_evahan_sentences(sentences: Iterable[tuple[str, Sequence[Span]]]) -> str:
    """Return the content of a file with several texts and their entities. A blank line separates two texts."""
    return "\n".join("".join(f"{line}\n" for line in format_evahan_lines(text, spans)) for text, spans in sentences)


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    return "".join(f"{line}\n" for line in format_evahan_lines(document.text, get_entity_spans(document)))


def _count_exported_chars_and_entities(document: TaggedDocument) -> tuple[int, int]:
    """Count the characters that are not in line breaks, and the entities that do not consist only of line breaks."""
    break_offsets = {i for match in _LINE_BREAK.finditer(document.text) for i in range(*match.span())}
    entities = [e for e in document.entities if not break_offsets.issuperset(range(e["start"], e["end"]))]
    return len(document.text) - len(break_offsets), len(entities)


EVAHAN = ExportFormat({TEXT_SUFFIX: make_text_writer(_render)}, count_exported=_count_exported_chars_and_entities)
