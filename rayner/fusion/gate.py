"""The gate, which skips the LLM where no answer of it could change the fused output (method, "The exact gate").

This is the gate of the rules by regions and by characters (`region_rule`, `character_rule`). They compare the SLM's
score 1 - H with the LLM's score S_L = lambda * exp(P) in each conflict region, or at each character. H is the SLM's
entropy there (nats), and P is the LLM's probability. The proofs are in docs/method.md. In short:

- P lies in [0, 1], so S_L is at most `max_llm_score(lambda)`.
- A *block* of the SLM's prediction is an entity, or a single character outside entities. A conflict region consists of
  whole blocks. So its H (mean or maximum) is at most the largest H of a block, reduced in the same way. For the rule
  by characters, each character is a block.
- If the SLM can lose no block of a text, the fused output is the SLM's.
- A slot is a position between two characters. If the SLM can lose no block behind a slot, the LLM's answer need not be
  read behind that slot.

In all functions, `weight` is lambda. `reduction` and `entropy_reduction` say how H is reduced over a region (`mean` or
`max`).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.predictions import LlmAnswer, SlmPrediction
from rayner.text.spans import Span

# Scores are float32 and means are rounded, so the LLM is also asked in cases very close to the limit.
_MARGIN = 1e-6


def max_llm_score(weight: float) -> float:
    """Return the largest score S_L that any LLM answer can reach."""
    return weight * math.e if weight > 0 else weight


def block_entropy(slm: SlmPrediction, reduction: str) -> npt.NDArray[np.float64]:
    """Return the entropy H of each character's block, shape [n_chars], nats.

    The block of a character inside an SLM entity is that entity. Any other character is a block of its own.
    """
    values = slm.entropy.astype(np.float64)
    for span in slm.spans:
        block = values[span.start : span.end]
        block[:] = block.max() if reduction == "max" else block.mean()
    return values


def first_closed_slot(slm: SlmPrediction, weight: float, entropy_reduction: str) -> int:
    """Return the first slot after the last block in which the LLM could be chosen over the SLM.

    It is 0 if there is no such block. The LLM then need not be asked.
    """
    return first_slot_behind_losable(block_entropy(slm, entropy_reduction), weight)


def first_slot_behind_losable(entropies: npt.NDArray[np.float64], weight: float) -> int:
    """Return the first slot after the last character whose block the SLM could lose; 0 if it can lose none.

    entropies: entropy H of each character's block, shape [n_chars], nats.
    """
    losable = np.flatnonzero(1.0 - entropies < max_llm_score(weight) + _MARGIN)
    return int(losable[-1]) + 1 if len(losable) else 0


def stop_mask(slm: SlmPrediction, weight: float, entropy_reduction: str) -> npt.NDArray[np.bool_]:
    """Return the slots at which decoding may stop if the LLM's answer has no open entity there, shape [n_chars + 1].

    Slot i lies before character i. Decoding may stop at the slots from `first_closed_slot` on that are not inside an
    entity of the SLM.
    """
    slots = np.arange(len(slm.entropy) + 1) >= first_closed_slot(slm, weight, entropy_reduction)
    for span in slm.spans:
        slots[span.start + 1 : span.end] = False
    return slots


def first_stop_slot(slm: SlmPrediction, llm_spans: Sequence[Span], weight: float, entropy_reduction: str) -> int:
    """Return the slot at which reading of an LLM answer stops.

    This is the first slot that `stop_mask` allows and that is not inside one of the answer's spans.
    """
    return first_slot_outside_spans(stop_mask(slm, weight, entropy_reduction), llm_spans)


def first_slot_outside_spans(slots: npt.NDArray[np.bool_], llm_spans: Sequence[Span]) -> int:
    """Return the first slot of a mask that is not inside one of the answer's spans.

    slots: mask of the slots, shape [n_chars + 1]. The last one is always allowed.
    """
    outside = slots.copy()
    for span in llm_spans:
        outside[span.start + 1 : span.end] = False
    return int(np.argmax(outside))


def require_known_up_to(answer: LlmAnswer, slot: int) -> None:
    """Raise ValueError if an LLM answer stops before a slot up to which a rule reads it."""
    if answer.last_known_slot < slot:
        raise ValueError(f"the answer is known up to slot {answer.last_known_slot}, needed up to slot {slot}")
