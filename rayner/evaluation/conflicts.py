"""The regions on which the two models differ: who was right, who won, and examples to look at."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rayner.evaluation.metrics import Score
from rayner.fusion.deciding import FusionRule, decide
from rayner.fusion.region_rule import RegionRule, slm_wins
from rayner.fusion.regions import (
    ConflictRegion,
    find_agreements_and_conflicts,
    reduce_llm_probs,
    region_entropy,
    region_llm_probs,
)
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span, crop_spans

_CONTEXT = 22  # characters shown on either side of a region; sentences run to thousands
# Mistakes of the rule first, then what it got right, then what no rule could have got right.
_ORDER = (("slm", "llm"), ("llm", "slm"), ("slm", "slm"), ("llm", "llm"), ("neither", "slm"), ("neither", "llm"),
          *((right, "neither") for right in ("slm", "llm", "neither")))  # fmt: skip


@dataclass(frozen=True, slots=True)
class JudgedConflict:
    """A region of a row with what the rule made of it.

    gold: the gold entities that overlap it; entropy (nats) and probability: H and P reduced over it by the rule;
    winner: slm | llm, or neither where a rule by spans mixed them; right: the side whose entities in the region are the
    gold ones, slm | llm | neither.
    """

    row: SegmentPrediction
    region: ConflictRegion
    gold: tuple[Span, ...]
    entropy: float
    probability: float
    winner: str
    right: str

    def margin(self, weight: float) -> float:
        """How far apart S_S and S_L are, for the rule's lambda."""
        return abs(1.0 - self.entropy - weight * math.exp(self.probability))

    @property
    def sides(self) -> dict[str, tuple[Span, ...]]:
        """The entities that each side put into the region."""
        return {"slm": self.region.slm_spans, "llm": tuple(item.span for item in self.region.llm_entities)}


def judge_conflicts(
    rows: Sequence[SegmentPrediction], rule: RegionRule, fused: Sequence[Sequence[Span]] | None = None
) -> list[JudgedConflict]:
    """All conflict regions, in order of the rows; those without an LLM answer have none.

    fused: the entities of each row that another rule than this one, which says how H and P are reduced, decided on.
    """
    found = []
    for i, row in enumerate(rows):
        if row.llm is None:
            continue
        for region in find_agreements_and_conflicts(row.slm.spans, row.llm.entities)[1]:
            entropy = region_entropy(region, row.slm.entropy, rule.entropy_reduction)
            probability = reduce_llm_probs(region_llm_probs(region, row.llm, rule.llm_confidence), rule.llm_reduction)
            winner = "slm" if slm_wins(1.0 - entropy, probability, rule.weight) else "llm"
            if fused is not None:
                winner = _winner(region, fused[i])
            gold = tuple(span for span in row.gold if span.start < region.end and region.start < span.end)
            theirs = tuple(item.span for item in region.llm_entities)
            right = "slm" if set(region.slm_spans) == set(gold) else "llm" if set(theirs) == set(gold) else "neither"
            found.append(JudgedConflict(row, region, gold, entropy, probability, winner, right))
    return found


def _winner(region: ConflictRegion, fused: Sequence[Span]) -> str:
    """Whose entities the output has in a region; `neither` if some of both, or none of a side that put several."""
    inside = {span for span in fused if span.start < region.end and region.start < span.end}
    return (
        "slm"
        if inside == set(region.slm_spans)
        else "llm"
        if inside == {i.span for i in region.llm_entities}
        else "neither"
    )


def summarize_conflicts(rows: Sequence[SegmentPrediction], found: Sequence[JudgedConflict]) -> dict[str, Any]:
    """How often each side was right.

    `n` regions; `slm_right`, `llm_right`, `both_wrong` (they add up to n: the sides differ, so at most one is
    right); `fused_right`, regions whose winner was right (none where a rule mixed them); `oracle_f1`, the highest micro
    F1 that any choice of sides, region by region, could have reached.
    """
    right = [conflict.right for conflict in found]
    return {
        "n": len(found),
        "slm_right": right.count("slm"),
        "llm_right": right.count("llm"),
        "both_wrong": right.count("neither"),
        "fused_right": sum(conflict.right == conflict.winner != "neither" for conflict in found),
        "oracle_f1": _oracle_f1(rows, found),
    }


def _oracle_f1(rows: Sequence[SegmentPrediction], found: Sequence[JudgedConflict]) -> float:
    """Maximum of F1 = 2 right / (predicted + gold) over all choices of sides.

    A ratio is maximal where `2 right - f1 * predicted`, summed, is (Dinkelbach): start from right minus wrong, and
    choose again by the F1 reached until it no longer rises.
    """
    choices = [
        [(len(set(spans) & set(conflict.gold)), len(spans)) for spans in conflict.sides.values()] for conflict in found
    ]
    gold = sum(len(row.gold) for row in rows)
    agreed = [
        find_agreements_and_conflicts(row.slm.spans, row.llm.entities)[0] if row.llm else row.slm.spans for row in rows
    ]
    right = sum(len(set(spans) & set(row.gold)) for spans, row in zip(agreed, rows, strict=True))
    predicted = sum(map(len, agreed))

    best, f1 = -1.0, 1.0  # at f1 = 1, twice the right minus the predicted is right minus wrong
    while True:
        taken = [max(sides, key=lambda side: 2 * side[0] - f1 * side[1]) for sides in choices]
        reached = Score(right + sum(r for r, _ in taken), predicted + sum(p for _, p in taken), gold).f1
        if reached <= best:
            return best
        best = f1 = reached


def select_disagreements(
    found: Sequence[JudgedConflict], rule: RegionRule, fused: FusionRule | None = None, limit: int = 60
) -> list[dict[str, Any]]:
    """At most `limit` conflicts to look at, spread over types and outcomes; within each, the clearest margin first.

    Each: `doc_id`, `start` (offset of `text` in the document), `text` (the region with some context), `gold`, `slm`,
    `llm`, `fused` ([[start, end, type], ...] in `text`), `region` [start, end], `entropy`, `probability`, `winner`,
    `right`. The same text and region is shown once. fused: the rule that decided, if it is not `rule`.
    """
    groups: dict[tuple[int, str], list[JudgedConflict]] = defaultdict(list)
    seen = set()
    for conflict in sorted(found, key=lambda c: -abs(1 - c.entropy - rule.weight * 2.718**c.probability)):
        key = (conflict.row.text, conflict.region.start)
        if key not in seen:
            seen.add(key)
            groups[_ORDER.index((conflict.right, conflict.winner)), _leading_type(conflict)].append(conflict)
    chosen: list[JudgedConflict] = []
    depth = 0
    while len(chosen) < limit and any(depth < len(group) for group in groups.values()):
        chosen += [groups[key][depth] for key in sorted(groups) if depth < len(groups[key])]
        depth += 1
    return [_example(conflict, fused or rule) for conflict in chosen[:limit]]


def _leading_type(conflict: JudgedConflict) -> str:
    """The type that a conflict is about: of the gold entity, else of what either side put there."""
    return next(span.type for spans in (conflict.gold, *conflict.sides.values()) for span in spans)


def _example(conflict: JudgedConflict, rule: FusionRule) -> dict[str, Any]:
    row, region = conflict.row, conflict.region
    if row.llm is None:
        raise ValueError("a conflict without an LLM answer")
    spans = {
        "gold": row.gold,
        "slm": row.slm.spans,
        "llm": row.llm.spans,
        "fused": tuple(item.span for item in decide(row, rule)),
    }
    start, end = max(0, region.start - _CONTEXT), min(len(row.text), region.end + _CONTEXT)
    cut = True
    while cut:  # no entity may be cut by the edge of what is shown
        crossing = [s for group in spans.values() for s in group if s.start < start < s.end or s.start < end < s.end]
        start, end = min([start, *(s.start for s in crossing)]), max([end, *(s.end for s in crossing)])
        cut = bool(crossing)
    return {
        "doc_id": row.doc_id,
        "start": row.start + start,
        "text": row.text[start:end],
        **{name: [[s.start, s.end, s.type] for s in crop_spans(group, start, end)] for name, group in spans.items()},
        "region": [region.start - start, region.end - start],
        "entropy": conflict.entropy,
        "probability": conflict.probability,
        "winner": conflict.winner,
        "right": conflict.right,
    }
