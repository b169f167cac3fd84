"""Where the LLM need not run, because no answer of it could change the fused output (method, "The exact gate").

The proofs are in docs/method.md. In short: P lies in [0, 1], so S_L = lambda * exp(P) is at most `max_llm_score(rule)`.
A conflict region is made of whole *blocks* of the SLM's answer, an entity or a single character outside entities, so
its H, mean or maximum, is at most the largest H of a block, reduced the same way. A text none of whose blocks can
lose is the SLM's; and from a slot on behind which no block can lose, the LLM's answer need not be read.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.fusion.region_rule import RegionRule
from rayner.text.predictions import SlmPrediction
from rayner.text.spans import Span

# Scores are float32 and means are rounded: stay away from the edge, to the side that asks the LLM.
_MARGIN = 1e-6


def max_llm_score(rule: RegionRule) -> float:
    """The largest S_L that any LLM answer can reach."""
    return rule.weight * math.e if rule.weight > 0 else rule.weight


def block_entropy(slm: SlmPrediction, reduction: str) -> npt.NDArray[np.float64]:
    """[n] for each character the H of its block: its own outside the SLM's entities, the entity's inside one."""
    values = slm.entropy.astype(np.float64)
    for span in slm.spans:
        part = values[span.start : span.end]
        part[:] = part.max() if reduction == "max" else part.mean()
    return values


def first_closed_slot(slm: SlmPrediction, rule: RegionRule) -> int:
    """End of the last block that the LLM could win; 0 where it can win none, so that it need not be asked."""
    losable = np.flatnonzero(1.0 - block_entropy(slm, rule.entropy_reduction) < max_llm_score(rule) + _MARGIN)
    return int(losable[-1]) + 1 if len(losable) else 0


def stop_mask(slm: SlmPrediction, rule: RegionRule) -> npt.NDArray[np.bool_]:
    """[n + 1] the slots at which the LLM's answer has been read far enough, unless it holds an entity open there.

    Slot i lies before character i. Quiet are the slots from `first_closed_slot` on that lie in no entity of the SLM.
    """
    slots = np.arange(len(slm.entropy) + 1) >= first_closed_slot(slm, rule)
    for span in slm.spans:
        slots[span.start + 1 : span.end] = False
    return slots


def first_stop_slot(slm: SlmPrediction, llm: Sequence[Span], rule: RegionRule) -> int:
    """The slot up to which an LLM answer with these spans is read: the first quiet one that cuts none of them."""
    slots = stop_mask(slm, rule)
    for span in llm:
        slots[span.start + 1 : span.end] = False
    return int(np.argmax(slots))
