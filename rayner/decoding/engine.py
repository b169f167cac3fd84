"""The protocol of the engines that run the LLM.

All engines but the last return the same answers, those of greedy decoding under the tag grammar:

- `DraftVerifyEngine` (transformers): verifies drafts, which takes a few forward passes an answer. The default.
- `GreedyEngine` (transformers): decodes token by token. It is simple, and the other engines are tested against it.
- `VllmEngine` (vLLM): decodes token by token, with vLLM's batching and caches.
- `FreeEngine` (transformers): decodes token by token without the grammar, as in the paper.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rayner.llm.model import Llm
from rayner.text.hints import HintEntity
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import LlmAnswer
from rayner.text.spans import Span


@dataclass(frozen=True)
class WindowRequest:
    """A text for the LLM to answer, no longer than a window.

    Engines that cannot use a draft or a stop mask ignore it. `VllmEngine` and `FreeEngine` score no candidates.

    Attributes:
        text: The text.
        examples: The examples in the prompt.
        draft: The entities that the answer probably has. Wrong ones do not change the answer.
        stop_mask: Whether decoding may stop at each slot (position between two characters), shape
            [n_chars + 1]. Slot i lies before character i. Decoding never stops inside an entity. See `gate.stop_mask`.
            None requests the whole answer.
        candidates: Spans to score beside the entities of the answer, the important ones first (`candidate_scores`).
            None requests no scores.
        hint: The small model's entities, for the prompt. Needed only by an LLM whose prompts show them.

    """

    text: str
    examples: Sequence[LabelledSentence] = ()
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None
    candidates: Sequence[Span] | None = None
    hint: Sequence[HintEntity] | None = None


class AnswerEngine(Protocol):
    """An LLM that answers requests."""

    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests."""

    def with_smaller_batches(self, divisor: int) -> "AnswerEngine":
        """Return an engine with the same LLM whose batch sizes, in texts and tokens, are divided by `divisor`."""


class BatchingEngine(Protocol):
    """An engine with batch sizes of its own. batch_size, batch_tokens: see `make_engine`."""

    batch_size: int
    batch_tokens: int


Engine = TypeVar("Engine", bound=BatchingEngine)


def divide_batch_sizes(engine: Engine, divisor: int) -> Engine:
    """Return an engine with the same LLM whose batch sizes, in texts and tokens, are divided by `divisor`."""
    divided = copy.copy(engine)
    divided.batch_size = max(1, engine.batch_size // divisor)
    divided.batch_tokens = max(1, engine.batch_tokens // divisor)
    return divided


def make_engine(
    llm: Llm, *, decoding: str, use_drafts: bool, softmax_over: str, batch_size: int, batch_tokens: int
) -> AnswerEngine:
    """Return an engine that runs the LLM with transformers.

    Args:
        llm: The LLM.
        decoding: `automaton` for answers under the tag grammar, `free` for answers without it. Free answers have no
            drafts, and their probabilities are over the whole vocabulary.
        use_drafts: Whether to verify drafts.
        softmax_over: The tokens over which probabilities are normalised. `allowed` takes the tokens that the grammar
            allows; any other value takes the whole vocabulary.
        batch_size: The largest number of texts in a forward pass.
        batch_tokens: The most tokens in memory at a time: those of all key-value caches and of the running batch, with
            its padding. A text that needs more is answered alone.

    """
    if decoding == "free":
        from rayner.decoding.free import FreeEngine

        return FreeEngine(llm, batch_size=batch_size, batch_tokens=batch_tokens)
    if use_drafts:
        from rayner.decoding.draft_verify import DraftVerifyEngine

        return DraftVerifyEngine(llm, softmax_over=softmax_over, batch_size=batch_size, batch_tokens=batch_tokens)
    from rayner.decoding.greedy import GreedyEngine

    return GreedyEngine(llm, softmax_over=softmax_over, batch_size=batch_size, batch_tokens=batch_tokens)
