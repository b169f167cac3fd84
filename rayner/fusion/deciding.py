"""Any fusion rule behind one small interface: what it decides, and where the LLM need not be asked.

`Rule` is the paper's, a conflict region at a time (`fusion`, `gate`); `SpanRule` is learned, a candidate at a time;
`FittedRule` is one that users bring.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.fusion import custom_rule, gate, span_rule
from rayner.fusion.custom_rule import FittedRule
from rayner.fusion.region_rule import Rule
from rayner.fusion.regions import Decision, decision_on, fuse
from rayner.fusion.span_rule import SpanRule
from rayner.text.predictions import Scored, SlmScore
from rayner.text.spans import Span

AnyRule = Rule | SpanRule | FittedRule


def chosen(fusion: dict[str, Any]) -> AnyRule:
    """The rule that the search chose, from what it wrote to `fusion.json`."""
    name = fusion["chosen"]
    if name == "regions":
        return Rule(**fusion["rule"])
    if name == "spans":
        return span_rule.span_rule(fusion["spans"])
    return FittedRule(name, tuple(fusion["spans"]["types"]), fusion["custom"][name])


def decide(row: Scored, rule: AnyRule) -> list[Decision]:
    """The fused entities of a segment, in order; without an LLM answer those of the SLM."""
    if isinstance(rule, Rule):
        return fuse(row.slm, row.llm, rule)
    if row.llm is None or not can_change(row, rule):
        return fuse(row.slm, None, _UNUSED)
    own, theirs = set(row.slm.spans), set(row.llm.plain)
    found: list[tuple[Span, float | None]] = (
        [*span_rule.accepted(row, rule)]
        if isinstance(rule, SpanRule)
        else [(span, None) for span in custom_rule.accepted(row, rule)]
    )
    out = []
    for span, chance in found:
        # What only the small model considered, without putting it, is its second thought.
        by = "slm" if span not in theirs else "agree" if span in own else "llm"
        out.append(replace(decision_on(span, by, row.slm, row.llm.spans), probability=chance))
    return out


def can_change(row: Scored, rule: AnyRule) -> bool:
    """Whether some LLM answer could change the output; if not, the LLM need not be asked."""
    if isinstance(rule, Rule):
        return gate.open_until(row.slm, rule) > 0
    return span_rule.can_change(row, rule) if isinstance(rule, SpanRule) else custom_rule.can_change(row, rule)


def quiet(slm: SlmScore, rule: AnyRule) -> npt.NDArray[np.bool_] | None:
    """[n + 1] the slots at which the LLM's answer has been read far enough (`gate.quiet`); None: read all of it."""
    return gate.quiet(slm, rule) if isinstance(rule, Rule) else None


def doubt(slm: SlmScore, rule: AnyRule) -> npt.NDArray[np.float64]:
    """[n] for each character how unsure the SLM is there, nats: the H of its block."""
    return gate.block_entropy(slm, rule.entropy if isinstance(rule, Rule) else "max")


_UNUSED = Rule(0.0)  # without an LLM answer no rule plays a part
