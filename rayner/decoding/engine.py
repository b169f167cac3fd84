"""The protocol of the engines that let the LLM answer, and the one place where the setting `engine` is looked up.

All engines give the same answers, those of greedy decoding under the tag grammar:

- `DraftVerifyEngine` (transformers): verifies drafts, in a few forward passes an answer. The default.
- `GreedyEngine` (transformers): token by token. Plain; the others are tested against it.
- `VllmEngine` (vLLM): token by token, by vLLM's batching and caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rayner.llm.model import Llm
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import LlmAnswer
from rayner.text.spans import Span


@dataclass(frozen=True)
class WindowRequest:
    """A text to be answered, no longer than a window.

    examples: those in its prompt. draft: entities that the answer is expected to hold; any are allowed.
    stop_mask: [n_chars + 1] whether the answer need not be read beyond a slot (`gate.stop_mask`); None asks for all of
    it. Engines that cannot use a draft or a stop mask ignore it.
    """

    text: str
    examples: Sequence[LabelledSentence] = ()
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None


class AnswerEngine(Protocol):
    """An LLM that answers."""

    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in their order."""


def make_engine(llm: Llm, engine: str, *, use_drafts: bool, softmax_over: str, batch_size: int) -> AnswerEngine:
    """Return the engine of a name.

    engine: `transformers` or `vllm`, which takes the model out of `llm`. use_drafts: whether drafts are verified, where
    the engine can. softmax_over: the tokens over which probabilities are normalised: `allowed`, those that the grammar
    allows, else the whole vocabulary. batch_size: texts a forward pass, at most.
    """
    if engine == "vllm":
        from rayner.decoding.vllm_engine import VllmEngine

        return VllmEngine(llm, softmax_over=softmax_over, batch_size=batch_size)
    if use_drafts:
        from rayner.decoding.draft_verify import DraftVerifyEngine

        return DraftVerifyEngine(llm, softmax_over=softmax_over, batch_size=batch_size)
    from rayner.decoding.greedy import GreedyEngine

    return GreedyEngine(llm, softmax_over=softmax_over, batch_size=batch_size)
