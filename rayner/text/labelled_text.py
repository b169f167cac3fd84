"""Labelled text: a sentence with its entities, and a whole labelled file."""

from dataclasses import dataclass

from rayner.text.spans import Span


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence with its entities, used as an example for the LLM or as training data."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class LabelledFile:
    """One labelled file as one stream of characters.

    spans: entities, in order, without overlaps.
    blank_line_offsets: for each blank line, the offset of the character that follows it; `len(text)` at the end of the
        file. Blank lines do not end entities and are not characters of `text`. An export can write them again.
    faults: how often each irregularity occurs, including those with count 0:
        - `no_begin`, `no_end`: entities without their first or last tag, repaired as the module `tags` says.
        - `blank_lines`: blank lines.
        - `private_use`: private-use characters.
        - `beyond_bmp`: characters outside the Basic Multilingual Plane.
        - `line_separators`: characters of LINE_SEPARATORS.
        - `crlf`: lines that end with CR LF.
        - `bom`: byte order marks, which are removed from the start of the file.
        - `docstart`: skipped `-DOCSTART-` lines.
    """

    path: str
    text: str
    spans: tuple[Span, ...]
    blank_line_offsets: tuple[int, ...]
    faults: dict[str, int]
