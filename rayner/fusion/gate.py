"""Where the LLM need not run, because no answer of it could change the fused output (method, "The exact gate").

This is the gate of the rule by regions (`region_rule`). The proofs are in docs/method.md. In short: P lies in [0, 1],
so S_L = lambda * exp(P) is at most `max_llm_score(lambda)`. A conflict region consists of whole *blocks* of the SLM's
answer (an entity, or a single character outside entities), so its H, mean or maximum, is at most the largest H of a
block, reduced in the same way. If no block of a text can lose, the fused output is the SLM's. And from the slot on
behind which no block can lose, the LLM's answer need not be read.

In all functions `weight` is lambda, and `reduction` says how H is reduced over a region (`mean` or `max`).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.predictions import SlmPrediction
from rayner.text.spans import Span

# Scores are float32 and means are rounded: stay away from the edge, to the side that asks the LLM.
_MARGIN = 1e-6


def max_llm_score(weight: float) -> float:
    """Return the largest S_L that any LLM answer can reach."""
    return weight * math.e if weight > 0 else weight


def block_entropy(slm: SlmPrediction, reduction: str) -> npt.NDArray[np.float64]:
    """Return the H of each character's block, [n_chars], nats.

    The block of a character inside an entity of the SLM is that entity; outside entities it is the character itself.
    """
    values = slm.entropy.astype(np.float64)
    for span in slm.spans:
        block = values[span.start : span.end]
        block[:] = block.max() if reduction == "max" else block.mean()
    return values


def first_closed_slot(slm: SlmPrediction, weight: float, entropy_reduction: str) -> int:
    """Return the end of the last block that the LLM could win; 0 if it can win none, so that it need not be asked."""
    losable = np.flatnonzero(1.0 - block_entropy(slm, entropy_reduction) < max_llm_score(weight) + _MARGIN)
    return int(losable[-1]) + 1 if len(losable) else 0


def stop_mask(slm: SlmPrediction, weight: float, entropy_reduction: str) -> npt.NDArray[np.bool_]:
    """Return the slots at which decoding may stop unless the LLM's answer holds an entity open there, [n_chars + 1].

    Slot i lies before character i. These are the slots from `first_closed_slot` on that lie in no entity of the SLM.
    """
    slots = np.arange(len(slm.entropy) + 1) >= first_closed_slot(slm, weight, entropy_reduction)
    for span in slm.spans:
        slots[span.start + 1 : span.end] = False
    return slots


def first_stop_slot(slm: SlmPrediction, llm_spans: Sequence[Span], weight: float, entropy_reduction: str) -> int:
    """Return the slot up to which an LLM answer with these spans is read: the first of `stop_mask` that cuts none."""
    slots = stop_mask(slm, weight, entropy_reduction)
    for span in llm_spans:
        slots[span.start + 1 : span.end] = False
    return int(np.argmax(slots))
