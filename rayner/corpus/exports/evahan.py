"""EvaHan format: a line `char<TAB>tag` for each character, with BMES tags.

A line break in the text cannot be written in this way. It becomes a blank line, which programs that read the format
skip.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

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
    n_written = _count_chars_before(text)
    written_text = join_lines(text)
    tags = spans_to_tags(_move_spans(spans, text, n_written), len(written_text))
    blank_offsets = (*blank_line_offsets, *(match.start() for match in _LINE_BREAK.finditer(text)))
    n_blank_lines = Counter(int(n_written[offset]) for offset in blank_offsets)
    for i, (char, tag) in enumerate(zip(written_text, tags, strict=True)):
        yield from [""] * n_blank_lines[i]
        yield f"{char}\t{tag}"
    yield from [""] * n_blank_lines[len(tags)]


def remove_line_breaks(text: str, spans: Iterable[Span]) -> tuple[str, list[Span]]:
    """Return a text and its entities as a file in this format holds them: without line breaks.

    An entity that consists only of line breaks is left out. Raises ValueError if spans overlap or exceed the text.
    """
    return join_lines(text), _move_spans(spans, text, _count_chars_before(text))


def join_lines(text: str) -> str:
    """Return a text without its line breaks."""
    return _LINE_BREAK.sub("", text)


def _move_spans(spans: Iterable[Span], text: str, n_written: npt.NDArray[np.int64]) -> list[Span]:
    """Return the entities in the text without line breaks. n_written: the result of `_count_chars_before`."""
    moved = [
        Span(int(n_written[span.start]), int(n_written[span.end]), span.type)
        for span in sort_and_check_spans(spans, len(text))
    ]
    return [span for span in moved if span.start < span.end]


def _count_chars_before(text: str) -> npt.NDArray[np.int64]:
    """Count, for each offset of a text, the characters before it that are not in line breaks: shape [n_chars + 1]."""
    is_written = np.ones(len(text) + 1, dtype=np.int64)
    for match in _LINE_BREAK.finditer(text):
        is_written[match.start() : match.end()] = 0
    return np.cumsum(is_written) - is_written


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
