"""Labelled text: a sentence with its entities, and a whole labelled file."""

from dataclasses import dataclass
from itertools import pairwise

from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence with its entities, used as an example for the LLM or as training data.

    passage: the number of its passage in the labelled text; None if sentences are divided one by one.
    """

    text: str
    spans: tuple[Span, ...]
    passage: int | None = None


@dataclass(frozen=True)
class LabelledFile:
    """One labelled file as one stream of characters.

    spans: entities, in order, without overlaps.
    blank_line_offsets: for each blank line, the offset of the character that follows it; `len(text)` at the end of the
        file. Blank lines do not end entities and are not characters of `text`. An export can write them again.
    faults: how often each irregularity occurs, including those with count 0:
        - `no_begin`, `no_end`: entities without their first or last tag, repaired as the module `tags` says.
        - `escapes`: characters that CoNLL columns give as an escape with their code point.
        - `blank_lines`: blank lines.
        - `private_use`: private-use characters.
        - `beyond_bmp`: characters outside the Basic Multilingual Plane.
        - `line_separators`: characters of LINE_SEPARATORS.
        - `crlf`: lines that end with CR LF.
        - `bom`: byte order marks, which are removed from the start of the file.
        - `docstart`: skipped `-DOCSTART-` lines.
        - `empty_texts`: texts without characters, which are left out.
        - `unlabelled_texts`: texts that nobody has labelled yet, which are left out.
        - `labelled_again`: texts with further, different labels of other people, of which the last are used.
        - `repeated_entities`: entities that the file gives again for the same place, and that count once.
        - `empty_elements`: elements of TEI for an entity without text, which are left out.
        Each layout counts only those that it can have.
    text_starts: where each text after the first one begins. A file of a spreadsheet or of JSON lines has many texts. No
        sentence reaches from one text into the next.
    layout: the layout in which the file was read.
    read_as: the same in words, such as `a spreadsheet (CSV), an entity a row`.
    """

    path: str
    text: str
    spans: tuple[Span, ...]
    blank_line_offsets: tuple[int, ...]
    faults: dict[str, int]
    text_starts: tuple[int, ...] = ()
    layout: str = ""
    read_as: str = ""

    def text_bounds(self) -> list[tuple[int, int]]:
        """Return the offsets [start, end) of the texts, in order; they partition `text`."""
        return list(pairwise((0, *self.text_starts, len(self.text))))

    def sentence_bounds(self) -> list[tuple[int, int]]:
        """Return the offsets [start, end) of the sentences of all texts, in order; they partition `text`."""
        return [
            (text_start + start, text_start + end)
            for text_start, text_end in self.text_bounds()
            for start, end in split_sentences(self.text[text_start:text_end])
        ]
