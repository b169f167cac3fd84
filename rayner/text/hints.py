"""Hints: the small model's entities in a text, which the LLM may see in its prompt (`llm.hint`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from rayner.text.spans import Span

# To be raised when prompts show hints otherwise: an LLM must be asked with the hints that it was trained on.
HINT_VERSION = 2  # 2: in the place of the sentence; 100% is not written


@dataclass(frozen=True, slots=True)
class HintEntity:
    """An entity that the small model predicted. confidence: the product of the probabilities of its labels."""

    span: Span
    confidence: float


def crop_hint(hint: Sequence[HintEntity], start: int, end: int) -> tuple[HintEntity, ...]:
    """Return the entities that lie completely inside [start, end), with offsets counted from `start`."""
    return tuple(
        HintEntity(entity.span.shift(-start), entity.confidence)
        for entity in hint
        if start <= entity.span.start and entity.span.end <= end
    )
