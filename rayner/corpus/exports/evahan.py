"""EvaHan: a line `char<TAB>tag` for each character, BMES.

A line break of the text cannot be such a character: it becomes a blank line, which readers of the format pass over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, get_entity_spans, make_text_writer
from rayner.corpus.tables import TaggedDocument
from rayner.corpus.text_files import TEXT_SUFFIX
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import spans_to_tags

_BREAK = re.compile(r"\r?\n")


def format_evahan_lines(text: str, spans: Iterable[Span], blank_lines: Iterable[int] = ()) -> Iterator[str]:
    r"""The lines, without their ends, of a text with its entities: `char<TAB>tag`, or "" for a line break.

    blanks: offsets before which to put blank lines of their own (`LabelledFile.blanks`), up to len(text).
    A lone `\r` is a character. An entity made of line breaks alone has no characters to carry it, and is left out.
    Raises ValueError for spans that overlap or leave the text.
    """
    keep = np.ones(len(text) + 1, dtype=np.int64)
    breaks = [match.span() for match in _BREAK.finditer(text)]
    for start, end in breaks:
        keep[start:end] = 0
    kept = np.cumsum(keep) - keep  # how many characters are kept before each offset
    moved = [Span(int(kept[s.start]), int(kept[s.end]), s.type) for s in sort_and_check_spans(spans, len(text))]
    tags = spans_to_tags((span for span in moved if span.start < span.end), int(kept[-1]))
    empty = Counter(int(kept[at]) for at in (*blank_lines, *(start for start, _ in breaks)))
    for i, (char, tag) in enumerate(zip(_BREAK.sub("", text), tags, strict=True)):
        yield from [""] * empty[i]
        yield f"{char}\t{tag}"
    yield from [""] * empty[len(tags)]


def _render(document: TaggedDocument, choices: ExportOptions) -> str:
    return "".join(f"{line}\n" for line in format_evahan_lines(document.text, get_entity_spans(document)))


def _held(document: TaggedDocument) -> tuple[int, int]:
    """Line breaks apart."""
    broken = {i for match in _BREAK.finditer(document.text) for i in range(*match.span())}
    whole = [row for row in document.entities if not broken.issuperset(range(row["start"], row["end"]))]
    return len(document.text) - len(broken), len(whole)


EVAHAN = ExportFormat({TEXT_SUFFIX: make_text_writer(_render)}, count_exported=_held)
