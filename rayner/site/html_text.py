"""A stretch of a document as HTML, and what both models said of its entities in few bytes."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rayner.rendering.tagged_text import describe_rare_char
from rayner.text.escaping import CHAR_REFERENCES, make_escaper

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # made once: there are many small values
_BY = {"agree": "a", "slm": "s", "llm": "l"}


class TypeNumbers:
    """Numbers of entity types, given as they are met."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number_of(self, kind: str) -> int:
        """Its number."""
        found = self._numbers.get(kind)
        if found is None:
            found = self._numbers[kind] = len(self.names)
            self.names.append(kind)
        return found


class LlmCoverage:
    """Where in a document the LLM was asked: everywhere but in segments that were gated or set aside."""

    def __init__(self, segments: Iterable[Mapping[str, Any]]) -> None:
        spared = sorted((s["start"], s["end"]) for s in segments if s["gated"] or s["error"] is not None)
        self._starts = [start for start, _ in spared]
        self._ends = [end for _, end in spared]

    def covers(self, offset: int) -> bool:
        """Whether it was asked there."""
        i = bisect_right(self._starts, offset) - 1
        return i < 0 or self._ends[i] <= offset


def text_to_html(text: str) -> str:
    """HTML whose text is `text`; characters that fonts may lack carry their code point."""
    return _escape_text(text)


def _replace_char(char: str) -> str:
    if char == "\r":
        return CHAR_REFERENCES[char]
    if char == "\0":  # HTML has no U+0000
        return '<i title="U+0000">\ufffd</i>'
    rare = describe_rare_char(char)
    return f'<i title="{rare}">{char}</i>' if rare else char


# Characters that HTML would change, and characters that fonts may lack.
_escape_text = make_escaper("\r\0\ue000-\uf8ff\U00010000-\U0010ffff", _replace_char)


def tagged_text_to_html(
    text: str, start: int, end: int, entities: Sequence[Mapping[str, Any]], types: TypeNumbers
) -> str:
    """The text [start, end) with its entities, which lie within, as `<b class=XN>`.

    X: a, s or l (both models agree, the SLM decided, the LLM did); N: the number of the type.
    """
    out, at = [], start
    for entity in entities:
        out.append(text_to_html(text[at : entity["start"]]))
        at = entity["end"]
        name = text_to_html(text[entity["start"] : at])
        out.append(f"<b class={_BY.get(entity['decided_by'], 'a')}{types.number_of(entity['type'])}>{name}</b>")
    out.append(text_to_html(text[at:end]))
    return "".join(out)


def pack_votes(entities: Iterable[Mapping[str, Any]], asked: LlmCoverage, types: TypeNumbers) -> str:
    """The votes on the entities, in order, separated by blanks; read by `unpack` of document.js.

    Each: the score, the SLM's entropy, its type, the LLM's type, category and boundary probability, separated by
    commas. Numbers are in thousandths, types by number, what is null is empty. Of an entity on which the LLM was not
    asked the LLM's three are left out; and the SLM's type too, if it is the entity's.
    """
    return " ".join(_vote(entity, asked.covers(entity["start"]), types) for entity in entities)


def _vote(entity: Mapping[str, Any], asked: bool, types: TypeNumbers) -> str:
    kind = entity["slm_type"]
    fields = [format_thousandths(entity["score"]), format_thousandths(entity["slm_entropy"])]
    if asked or entity["llm_type"] is not None:
        fields += [
            _number(kind, types),
            _number(entity["llm_type"], types),
            format_thousandths(entity["llm_category_prob"]),
            format_thousandths(entity["llm_boundary_prob"]),
        ]
    elif kind != entity["type"]:
        fields.append(_number(kind, types))
    return ",".join(fields)


def format_thousandths(value: float | None) -> str:
    """A number in thousandths, "" for none."""
    return "" if value is None or not math.isfinite(value) else str(round(value * 1000))


def _number(kind: str | None, types: TypeNumbers) -> str:
    return "" if kind is None else str(types.number_of(kind))


def json_for_script(value: Any) -> str:  # noqa: ANN401 - any JSON
    """JSON that may stand in a script, inside HTML or in a file of its own."""
    plain = _JSON.encode(value)
    for char in "<\u2028\u2029":
        plain = plain.replace(char, f"\\u{ord(char):04x}")
    return plain
