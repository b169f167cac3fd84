"""Turn a part of a document into HTML, and the votes of both models on its entities into a compact string."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from rayner.corpus.tables import EntityRow, SegmentRow
from rayner.rendering.tagged_text import describe_rare_char
from rayner.text.escaping import CHAR_REFERENCES, make_html_or_xml_escaper

_JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # built once: there are many small values
_DECIDER_LETTERS = {"agree": "a", "slm": "s", "llm": "l", "person": "p"}


class TypeNumbers:
    """A number for each entity type, in the order of first occurrence. Pages use the numbers in CSS classes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def get_or_add_number(self, type_name: str) -> int:
        """Return the number of a type; a new type gets the next number."""
        number = self._numbers.get(type_name)
        if number is None:
            number = self._numbers[type_name] = len(self.names)
            self.names.append(type_name)
        return number


class LlmCoverage:
    """The parts of a document about which the LLM was asked.

    These are all segments except those that the gate skipped and those that failed.
    """

    def __init__(self, segments: Iterable[SegmentRow]) -> None:
        skipped = sorted((s["start"], s["end"]) for s in segments if s["gated"] or s["error"] is not None)
        self._starts = [start for start, _ in skipped]
        self._ends = [end for _, end in skipped]

    def covers(self, offset: int) -> bool:
        """Whether the LLM was asked about the character at the offset."""
        i = bisect_right(self._starts, offset) - 1
        return i < 0 or self._ends[i] <= offset


def text_to_html(text: str) -> str:
    """Return HTML whose text content is `text`. A character that fonts may lack gets its code point as a tooltip."""
    return _escape_text(text)


def _annotate_rare_char(char: str) -> str:
    if char == "\r":
        return CHAR_REFERENCES[char]
    if char == "\0":  # HTML does not allow U+0000
        return '<i title="U+0000">\ufffd</i>'
    note = describe_rare_char(char)
    return f'<i title="{note}">{char}</i>' if note else char


# Characters that HTML would change, and characters that fonts may lack.
_escape_text = make_html_or_xml_escaper("\r\0\ue000-\uf8ff\U00010000-\U0010ffff", _annotate_rare_char)


def tagged_text_to_html(text: str, start: int, end: int, entities: Sequence[EntityRow], types: TypeNumbers) -> str:
    """Return text[start:end] as HTML with its entities as `<b class=XN>`.

    X is a (both models agree), s (the SLM decided), l (the LLM decided) or p (a person decided). N is the number of
    the type.

    entities: The rows of the table `entities` that lie inside [start, end), in order.
    """
    parts, last_end = [], start
    for entity in entities:
        parts.append(text_to_html(text[last_end : entity["start"]]))
        last_end = entity["end"]
        name = text_to_html(text[entity["start"] : last_end])
        letter = _DECIDER_LETTERS.get(entity["decided_by"], "a")
        parts.append(f"<b class={letter}{types.get_or_add_number(entity['type'])}>{name}</b>")
    parts.append(text_to_html(text[last_end:end]))
    return "".join(parts)


def pack_votes(entities: Iterable[EntityRow], coverage: LlmCoverage, types: TypeNumbers) -> str:
    """Return the votes on the entities, in order, separated by spaces. `unpackVotes` in document.js reads them.

    The fields of a vote are separated by commas: the score, the SLM's entropy, the SLM's type, the LLM's type, the
    LLM's category probability and the LLM's boundary probability. Decimals are written in thousandths, types as their
    numbers, and null as the empty string. If the LLM was not asked, the three fields of the LLM are left out. In that
    case the SLM's type is also left out if it equals the entity's type.
    """
    return " ".join(_pack_vote(entity, coverage.covers(entity["start"]), types) for entity in entities)


def _pack_vote(entity: EntityRow, llm_asked: bool, types: TypeNumbers) -> str:
    slm_type = entity["slm_type"]
    fields = [format_thousandths(entity["score"]), format_thousandths(entity["slm_entropy"])]
    if llm_asked or entity["llm_type"] is not None:
        fields += [
            _format_type(slm_type, types),
            _format_type(entity["llm_type"], types),
            format_thousandths(entity["llm_category_prob"]),
            format_thousandths(entity["llm_boundary_prob"]),
        ]
    elif slm_type != entity["type"]:
        fields.append(_format_type(slm_type, types))
    return ",".join(fields)


def format_thousandths(value: float | None) -> str:
    """Return a number in thousandths, rounded. Return "" for None and for a number that is not finite."""
    return "" if value is None or not math.isfinite(value) else str(round(value * 1000))


def _format_type(type_name: str | None, types: TypeNumbers) -> str:
    return "" if type_name is None else str(types.get_or_add_number(type_name))


def encode_json_for_script(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return JSON that is safe inside an HTML `<script>` and in a script file."""
    encoded = _JSON_ENCODER.encode(value)
    for char in "<\u2028\u2029":
        encoded = encoded.replace(char, f"\\u{ord(char):04x}")
    return encoded
