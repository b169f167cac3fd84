"""Any fusion rule behind one small interface: what it decides, and where the LLM need not be asked.

`RegionRule` decides a conflict region at a time (`regions`, `gate`); `SpanRule` is learned, a candidate at a time;
`FittedCustomRule` is one that users bring.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.fusion import custom_rule, gate, span_rule
from rayner.fusion.custom_rule import FittedCustomRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.regions import FusedEntity, fuse_by_regions, record_votes
from rayner.fusion.span_rule import SpanRule
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span

FusionRule = RegionRule | SpanRule | FittedCustomRule


def chosen(fusion: dict[str, Any]) -> FusionRule:
    """The rule that the search chose, from what it wrote to `fusion.json`."""
    name = fusion["chosen"]
    if name == "regions":
        return RegionRule(**fusion["rule"])
    if name == "spans":
        return span_rule.span_rule(fusion["spans"])
    return FittedCustomRule(name, tuple(fusion["spans"]["types"]), fusion["custom"][name])


def decide(row: SegmentPrediction, rule: FusionRule) -> list[FusedEntity]:
    """The fused entities of a segment, in order; without an LLM answer those of the SLM."""
    if isinstance(rule, RegionRule):
        return fuse_by_regions(row.slm, row.llm, rule)
    if row.llm is None or not llm_could_change(row, rule):
        return fuse_by_regions(row.slm, None, _UNUSED)
    own, theirs = set(row.slm.spans), set(row.llm.spans)
    found: list[tuple[Span, float | None]] = (
        [*span_rule.accept_candidates(row, rule)]
        if isinstance(rule, SpanRule)
        else [(span, None) for span in custom_rule.accepted(row, rule)]
    )
    out = []
    for span, chance in found:
        # What only the small model considered, without putting it, is its second thought.
        by = "slm" if span not in theirs else "agree" if span in own else "llm"
        out.append(replace(record_votes(span, by, row.slm, row.llm.entities), rule_prob=chance))
    return out


def llm_could_change(row: SegmentPrediction, rule: FusionRule) -> bool:
    """Whether some LLM answer could change the output; if not, the LLM need not be asked."""
    if isinstance(rule, RegionRule):
        return gate.first_closed_slot(row.slm, rule) > 0
    return span_rule.can_change(row, rule) if isinstance(rule, SpanRule) else custom_rule.can_change(row, rule)


def stop_mask(slm: SlmPrediction, rule: FusionRule) -> npt.NDArray[np.bool_] | None:
    """[n + 1] the slots at which the LLM's answer has been read far enough (`gate.stop_mask`); None: read all of it."""
    return gate.stop_mask(slm, rule) if isinstance(rule, RegionRule) else None


def block_entropy(slm: SlmPrediction, rule: FusionRule) -> npt.NDArray[np.float64]:
    """[n] for each character how unsure the SLM is there, nats: the H of its block."""
    return gate.block_entropy(slm, rule.entropy_reduction if isinstance(rule, RegionRule) else "max")


_UNUSED = RegionRule(0.0)  # without an LLM answer no rule plays a part
