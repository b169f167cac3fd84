"""Split tagged text into pieces for a template, so that it can mark entities, rare characters and a conflict region."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rayner.rendering.bilingual import BilingualText, join_texts, same_in_both
from rayner.rendering.translation import format_type_with_gloss, translate

_NO_TEXT = same_in_both("")
_DECIDER_KEYS = {"agree": "both_agree", "slm": "by_slm", "llm": "by_llm", "person": "by_person"}


@dataclass(frozen=True)
class TaggedSample:
    """A passage of tagged text for the report.

    entities: Rows of the table `entities`, with offsets in `text`. Only start, end and type are required.
    """

    title: str
    text: str
    entities: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class TextRun:
    """Characters with the same formatting.

    char_note: The code point, if the run is a single character that fonts may lack. Otherwise None.
    in_region: Whether the run is inside the conflict region (where the two models disagree).
    """

    text: str
    char_note: BilingualText | None = None
    in_region: bool = False


@dataclass(frozen=True, slots=True)
class TextPiece:
    """An entity, or the text between two entities, for which the type is ""."""

    runs: tuple[TextRun, ...]
    type: str = ""
    tooltip: BilingualText = _NO_TEXT
    decided_by: str = ""

    @property
    def in_region(self) -> bool:
        """Whether a part of the piece lies in the conflict region."""
        return any(run.in_region for run in self.runs)


def split_by_entities(
    text: str, entities: Sequence[Mapping[str, Any]], conflict_region: tuple[int, int] = (0, 0)
) -> list[TextPiece]:
    """Split a text into its entities and the text between them.

    The runs of all pieces joined are the text.

    Args:
        text: The text.
        entities: Rows of the table `entities`, in any order.
        conflict_region: The start and the end of the characters to emphasise.

    Raises:
        ValueError: An entity is empty, overlaps another entity or exceeds the text.

    """
    pieces = []
    end_of_last = 0
    for entity in sorted(entities, key=lambda row: (row["start"], row["end"])):
        start, end, type_name = entity["start"], entity["end"], entity["type"]
        if not end_of_last <= start < end <= len(text):
            raise ValueError(
                f"entity {type_name} at {start}-{end}: expected a non-empty span inside the {len(text)} characters, "
                f"found one that is empty, overlaps the entity before (it ends at {end_of_last}) or exceeds the text"
            )
        pieces.append(TextPiece(_split_at_rare_chars_and_region(text, end_of_last, start, conflict_region)))
        runs = _split_at_rare_chars_and_region(text, start, end, conflict_region)
        pieces.append(TextPiece(runs, type_name, describe_entity(entity), entity.get("decided_by") or ""))
        end_of_last = end
    pieces.append(TextPiece(_split_at_rare_chars_and_region(text, end_of_last, len(text), conflict_region)))
    return [piece for piece in pieces if piece.runs]


def describe_entity(entity: Mapping[str, Any]) -> BilingualText:
    """Describe an entity in words: its type, its confidence, who decided, and, if known, the votes of both models."""
    parts = [format_type_with_gloss(entity["type"])]
    if entity.get("score") is not None:
        parts.append(translate("with_confidence", f"{entity['score']:.3f}"))
    if entity.get("decided_by"):
        key = "by_second_thought" if is_second_thought(entity) else _DECIDER_KEYS.get(entity["decided_by"])
        parts.append(translate(key) if key else same_in_both(entity["decided_by"]))
    if "slm_type" in entity and entity.get("decided_by"):
        parts.append(_describe_vote("slm", entity.get("slm_type"), "H", entity.get("slm_entropy")))
        parts.append(_describe_vote("llm", entity.get("llm_type"), "P", entity.get("llm_category_prob")))
    return join_texts(parts, translate("part_separator"))


def is_second_thought(entity: Mapping[str, Any]) -> bool:
    """Return whether an entity is not in the small model's answer, but among the candidates that it found likely.

    The learned rule judges such candidates too, and calls them decided by the small model
    (`fusion.fused_entities.build_accepted_entities`). `slm_type` is then that of another entity there, or None.

    entity: A row of the table `entities`; one without votes counts as no second thought.
    """
    return entity.get("decided_by") == "slm" and "slm_type" in entity and entity["slm_type"] != entity["type"]


def describe_rare_char(char: str) -> BilingualText | None:
    """Return the code point of a character that fonts may lack, or None for any other character.

    Fonts may lack private-use characters and characters beyond the BMP. The result is None for variation selectors,
    because they must stay in one run with the character before them.
    """
    category = unicodedata.category(char)
    if category == "Co":
        return translate("private_use", f"U+{ord(char):04X}")
    if ord(char) > 0xFFFF and category != "Mn":
        return same_in_both(f"U+{ord(char):04X}")
    return None


def _describe_vote(model: str, type_name: str | None, symbol: str, number: float | None) -> BilingualText:
    """Describe the vote of one model: its type or none, and H (SLM entropy, nats) or P (LLM probability) if known."""
    vote = translate("vote_of", translate(model), type_name or translate("nothing"))
    return vote if number is None else translate("vote_with_number", vote, symbol, f"{number:.3f}")


def _split_at_rare_chars_and_region(
    text: str, start: int, end: int, conflict_region: tuple[int, int]
) -> tuple[TextRun, ...]:
    """Split text[start:end] at the bounds of the region and around characters that fonts may lack."""
    runs: list[TextRun] = []
    run_start = start
    for i in range(start, end + 1):
        note = describe_rare_char(text[i]) if i < end else None
        if (i == end or note or i in conflict_region) and run_start < i:
            runs.append(TextRun(text[run_start:i], None, conflict_region[0] <= run_start < conflict_region[1]))
            run_start = i
        if note:
            runs.append(TextRun(text[i], note, conflict_region[0] <= i < conflict_region[1]))
            run_start = i + 1
    return tuple(runs)
