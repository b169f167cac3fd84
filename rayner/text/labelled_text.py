"""Labelled text: a sentence with its entities, and a whole labelled file."""

from dataclasses import dataclass

from rayner.text.spans import Span


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence with its entities, to be shown to the LLM or learned from."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class LabelledFile:
    """One labelled file as one stream of characters.

    spans: the entities, in order, free of overlaps.
    blanks: offsets of the characters before which a blank line stood, repeated for repeated blank lines; `len(text)`
        for those at the end. They neither break entities nor make characters; an export can put them back.
    faults: how often each irregularity was met, 0 included: `no_begin` and `no_end` (entities without their first or
        last tag, mended as `tags.tags_to_spans` says), `blank_lines`, `private_use` and `beyond_bmp` (characters),
        `line_separators` (characters of LINE_SEPARATORS), `crlf` (lines that end so), `bom` (dropped from the start
        of the file) and `docstart` (skipped lines).
    """

    path: str
    text: str
    spans: tuple[Span, ...]
    blank_line_offsets: tuple[int, ...]
    faults: dict[str, int]
