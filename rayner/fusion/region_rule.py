"""The fusion rule: S_S = 1 - H for the SLM, S_L = lambda * exp(P) for the LLM (method, section 4)."""

import math
from dataclasses import dataclass

ENTROPY_REDUCTIONS = ("mean", "max")
LLM_REDUCTIONS = ("mean", "min", "product")
LLM_CONFIDENCES = ("entities", "slots")


@dataclass(frozen=True, slots=True)
class RegionRule:
    """A fusion rule: lambda, and how H and P are reduced over a region.

    llm_confidence: `entities` takes the paper's probabilities (category where the types differ, boundary where only the
    extent does, that of copying on where the LLM put no entity); `slots` takes every choice in the region.
    """

    weight: float
    entropy_reduction: str = "mean"
    llm_reduction: str = "product"
    llm_confidence: str = "slots"


def slm_wins(confidence: float, probability: float, weight: float) -> bool:
    """S_S >= S_L, with confidence S_S = 1 - H and S_L = weight * exp(probability)."""
    return confidence >= weight * math.exp(probability)
