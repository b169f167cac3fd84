"""Tagged text as pieces that a template can print: entities, characters that fonts may lack, regions."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rayner.rendering.bilingual import BilingualText, fill_text, join_texts, same_in_both
from rayner.rendering.report_texts import translate, type_with_gloss

# Hue (degrees) and saturation (%): types that occur together lie far apart on the wheel.
_COLOURS = {
    "NR": (8, 70),
    "NS": (150, 55),
    "NB": (42, 80),
    "NO": (275, 50),
    "NG": (215, 65),
    "T": (185, 60),
    "ZD": (355, 65),
    "ZZ": (285, 45),
    "ZF": (38, 80),
    "ZP": (130, 45),
    "ZS": (210, 65),
    "ZA": (175, 60),
}
_SPARE = (320, 95, 240, 65, 20, 200, 120, 300)
_UNTITLED = same_in_both("")
_VOTES = {"agree": "both_agree", "slm": "by_slm", "llm": "by_llm"}


@dataclass(frozen=True)
class TaggedSample:
    """A piece of tagged text to show.

    entities: dicts with start, end (offsets in `text`), type, score, decided_by, slm_type, llm_type, slm_entropy and
    llm_category_prob; all but the first three may be None or missing.
    """

    title: str
    text: str
    entities: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TextRun:
    """Characters printed alike. codepoint: what a single character is, where a font may lack it; region: inside it."""

    text: str
    char_note: BilingualText | None = None
    in_region: bool = False


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A stretch of text: an entity of a type, or (type "") what lies between entities."""

    runs: tuple[TextRun, ...]
    type: str = ""
    tooltip: BilingualText = _UNTITLED
    decided_by: str = ""

    @property
    def in_region(self) -> bool:
        """Whether any of it lies in the region."""
        return any(run.in_region for run in self.runs)


def split_by_entities(
    text: str, entities: Sequence[Mapping[str, Any]], region: tuple[int, int] = (0, 0)
) -> list[TextPiece]:
    """The whole text in order; joined, the runs are the text. Raises ValueError for entities that overlap or leave it.

    region: characters to be set off.
    """
    out = []
    end = 0
    for entity in sorted(entities, key=lambda e: (e["start"], e["end"])):
        start, stop, kind = entity["start"], entity["end"], entity["type"]
        if not end <= start < stop <= len(text):
            raise ValueError(f"{kind} at {start}-{stop} is empty, overlaps the one before or leaves the text")
        out.append(TextPiece(_split_runs(text, end, start, region)))
        title = describe_entity(entity)
        out.append(TextPiece(_split_runs(text, start, stop, region), kind, title, entity.get("decided_by") or ""))
        end = stop
    out.append(TextPiece(_split_runs(text, end, len(text), region)))
    return [piece for piece in out if piece.runs]


def describe_entity(entity: Mapping[str, Any]) -> BilingualText:
    """An entity in words: type, confidence, who decided, and both votes."""
    parts = [type_with_gloss(entity["type"])]
    if entity.get("score") is not None:
        parts.append(translate("with_confidence", f"{entity['score']:.3f}"))
    if entity.get("decided_by"):
        key = _VOTES.get(entity["decided_by"])
        parts.append(translate(key) if key else same_in_both(entity["decided_by"]))
        parts.append(_describe_vote("slm", entity.get("slm_type"), "H", entity.get("slm_entropy")))
        parts.append(_describe_vote("llm", entity.get("llm_type"), "P", entity.get("llm_category_prob")))
    return join_texts(parts, "; ", "；")


def assign_type_colours(types: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Hue and saturation for each type, those without a colour of their own in alphabetical order of the rest."""
    others = sorted(set(types) - set(_COLOURS))
    return {kind: _COLOURS[kind] for kind in types if kind in _COLOURS} | {
        kind: (_SPARE[i % len(_SPARE)], 50) for i, kind in enumerate(others)
    }


def describe_rare_char(char: str) -> BilingualText | None:
    """What to say of a character that fonts may lack: private use, or beyond the BMP; None for any other.

    Variation selectors must stay with the character before them: they are left alone.
    """
    category = unicodedata.category(char)
    if category == "Co":
        return translate("private_use", f"U+{ord(char):04X}")
    if ord(char) > 0xFFFF and category != "Mn":
        return same_in_both(f"U+{ord(char):04X}")
    return None


def _describe_vote(model: str, kind: str | None, symbol: str, value: float | None) -> BilingualText:
    """One model's vote: its type or none, and its H (nats) or P where known."""
    said = join_texts([translate(model), same_in_both(kind) if kind else translate("nothing")], ": ", "：")
    return said if value is None else fill_text(("{0} ({1} {2})", "{0}（{1} {2}）"), said, symbol, f"{value:.3f}")


def _split_runs(text: str, start: int, end: int, region: tuple[int, int]) -> tuple[TextRun, ...]:
    runs: list[TextRun] = []
    plain = start
    for i in range(start, end + 1):
        rare = describe_rare_char(text[i]) if i < end else None
        if (i == end or rare or i in region) and plain < i:
            runs.append(TextRun(text[plain:i], None, region[0] <= plain < region[1]))
            plain = i
        if rare:
            runs.append(TextRun(text[i], rare, region[0] <= i < region[1]))
            plain = i + 1
    return tuple(runs)
