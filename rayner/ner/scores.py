"""What each model says of a text: the contract between the models and the fusion."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.ner.spans import Span


@dataclass(frozen=True, slots=True)
class SlmScore:
    """The small model's answer: legal spans, and the entropy (nats) of the label distribution of each character."""

    spans: tuple[Span, ...]
    entropy: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LlmSpan:
    """An entity of the LLM, with its two probabilities (method, section 3)."""

    span: Span
    category: float
    boundary: float


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    """The LLM's answer on a text of n characters.

    decisions: [n + 1]; at i the product of the probabilities of the choices made between character i - 1 and
    character i (to close, to open, the type, or to copy on); at n those made after the last character.
    passes: forward passes spent.
    """

    spans: tuple[LlmSpan, ...]
    decisions: npt.NDArray[np.float32]
    passes: int = 0

    @property
    def plain(self) -> tuple[Span, ...]:
        """The entities without their probabilities."""
        return tuple(item.span for item in self.spans)


@dataclass(frozen=True, slots=True)
class Scored:
    """A segment with what is known of it: where it lies, its text, gold entities if labelled, both models' answers.

    `llm` is None where the LLM was skipped or failed; `error` says why the segment was set aside, else None.
    """

    doc_id: str
    start: int
    end: int
    text: str
    slm: SlmScore
    llm: LlmAnswer | None = None
    gold: tuple[Span, ...] = ()
    gated: bool = False
    error: str | None = None
