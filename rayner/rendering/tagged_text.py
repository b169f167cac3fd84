"""Tagged text as pieces that a template can print: entities, characters that fonts may lack, regions."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rayner.rendering.report_messages import gloss, say
from rayner.rendering.translation import Both, filled, joined, same

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
_UNTITLED = same("")
_VOTES = {"agree": "both_agree", "slm": "by_slm", "llm": "by_llm"}


@dataclass(frozen=True)
class Sample:
    """A piece of tagged text to show.

    entities: dicts with start, end (offsets in `text`), type, score, decided_by, slm_type, llm_type, slm_entropy and
    llm_category_prob; all but the first three may be None or missing.
    """

    title: str
    text: str
    entities: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """Characters printed alike. codepoint: what a single character is, where a font may lack it; region: inside it."""

    text: str
    codepoint: Both | None = None
    region: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: an entity of a type, or (type "") what lies between entities."""

    runs: tuple[Run, ...]
    type: str = ""
    title: Both = _UNTITLED
    decided_by: str = ""

    @property
    def in_region(self) -> bool:
        """Whether any of it lies in the region."""
        return any(run.region for run in self.runs)


def pieces(text: str, entities: Sequence[Mapping[str, Any]], region: tuple[int, int] = (0, 0)) -> list[Piece]:
    """The whole text in order; joined, the runs are the text. Raises ValueError for entities that overlap or leave it.

    region: characters to be set off.
    """
    out = []
    end = 0
    for entity in sorted(entities, key=lambda e: (e["start"], e["end"])):
        start, stop, kind = entity["start"], entity["end"], entity["type"]
        if not end <= start < stop <= len(text):
            raise ValueError(f"{kind} at {start}-{stop} is empty, overlaps the one before or leaves the text")
        out.append(Piece(_runs(text, end, start, region)))
        title = describe(entity)
        out.append(Piece(_runs(text, start, stop, region), kind, title, entity.get("decided_by") or ""))
        end = stop
    out.append(Piece(_runs(text, end, len(text), region)))
    return [piece for piece in out if piece.runs]


def describe(entity: Mapping[str, Any]) -> Both:
    """An entity in words: type, confidence, who decided, and both votes."""
    parts = [gloss(entity["type"])]
    if entity.get("score") is not None:
        parts.append(say("with_confidence", f"{entity['score']:.3f}"))
    if entity.get("decided_by"):
        key = _VOTES.get(entity["decided_by"])
        parts.append(say(key) if key else same(entity["decided_by"]))
        parts.append(_vote("slm", entity.get("slm_type"), "H", entity.get("slm_entropy")))
        parts.append(_vote("llm", entity.get("llm_type"), "P", entity.get("llm_category_prob")))
    return joined(parts, "; ", "；")


def colours(kinds: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Hue and saturation for each type, those without a colour of their own in alphabetical order of the rest."""
    others = sorted(set(kinds) - set(_COLOURS))
    return {kind: _COLOURS[kind] for kind in kinds if kind in _COLOURS} | {
        kind: (_SPARE[i % len(_SPARE)], 50) for i, kind in enumerate(others)
    }


def codepoint(char: str) -> Both | None:
    """What to say of a character that fonts may lack: private use, or beyond the BMP; None for any other.

    Variation selectors must stay with the character before them: they are left alone.
    """
    category = unicodedata.category(char)
    if category == "Co":
        return say("private_use", f"U+{ord(char):04X}")
    if ord(char) > 0xFFFF and category != "Mn":
        return same(f"U+{ord(char):04X}")
    return None


def _vote(model: str, kind: str | None, symbol: str, value: float | None) -> Both:
    """One model's vote: its type or none, and its H (nats) or P where known."""
    said = joined([say(model), same(kind) if kind else say("nothing")], ": ", "：")
    return said if value is None else filled(("{0} ({1} {2})", "{0}（{1} {2}）"), said, symbol, f"{value:.3f}")


def _runs(text: str, start: int, end: int, region: tuple[int, int]) -> tuple[Run, ...]:
    runs: list[Run] = []
    plain = start
    for i in range(start, end + 1):
        rare = codepoint(text[i]) if i < end else None
        if (i == end or rare or i in region) and plain < i:
            runs.append(Run(text[plain:i], None, region[0] <= plain < region[1]))
            plain = i
        if rare:
            runs.append(Run(text[i], rare, region[0] <= i < region[1]))
            plain = i + 1
    return tuple(runs)
