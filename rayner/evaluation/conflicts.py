"""The conflict regions, where the two models differ: which side was right, which side won, and examples to look at."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rayner.evaluation.artifact import ConflictSummary, Disagreement
from rayner.evaluation.metrics import Score
from rayner.fusion.conflict_regions import ConflictRegion, find_agreements_and_conflicts
from rayner.fusion.region_rule import RegionRule, llm_score, slm_wins
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span, crop_spans

_CONTEXT_CHARS = 22  # shown on either side of a region; a sentence can have thousands of characters
# (right, winner): first mistakes of the rule, then its right decisions, then regions that no rule could get right.
_OUTCOME_ORDER = (
    ("slm", "llm"), ("llm", "slm"), ("slm", "slm"), ("llm", "llm"), ("neither", "slm"), ("neither", "llm"),
    *((right, "neither") for right in ("slm", "llm", "neither")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JudgedConflict:
    """A conflict region of a segment, with the right side and the winning side.

    gold: the gold entities that overlap the region.
    fused: the fused entities of the whole segment.
    entropy: H of the region (SLM entropy, nats), reduced as the rule by regions does.
    llm_prob: P of the region (LLM probability), reduced as the rule by regions does.
    winner: the side that won: slm | llm | neither. It is neither if another rule mixed the sides.
    right: the side whose entities in the region are the gold ones: slm | llm | neither.
    """

    segment: SegmentPrediction
    region: ConflictRegion
    gold: tuple[Span, ...]
    fused: tuple[Span, ...]
    entropy: float
    llm_prob: float
    winner: str
    right: str

    def margin(self, weight: float) -> float:
        """Return the distance between the two models' scores, S_S and S_L (`region_rule`).

        weight: lambda.
        """
        return abs(1.0 - self.entropy - llm_score(self.llm_prob, weight))

    @property
    def sides(self) -> dict[str, tuple[Span, ...]]:
        """The entities that each side predicted in the region."""
        return {"slm": self.region.slm_spans, "llm": self.region.llm_spans}


def judge_conflicts(
    segments: Sequence[SegmentPrediction], region_rule: RegionRule, fused_spans: Sequence[Sequence[Span]] | None = None
) -> list[JudgedConflict]:
    """Return all conflict regions, in the order of the segments. Segments without an LLM answer have none.

    region_rule: says how H and P are reduced, and which side wins.
    fused_spans: the fused entities of each segment, if another rule decided. The winner is then read from them.
        None if `region_rule` decided.
    """
    conflicts = []
    for i, segment in enumerate(segments):
        if segment.llm is None:
            continue
        fused = tuple(
            fused_spans[i] if fused_spans is not None else (entity.span for entity in region_rule.decide(segment))
        )
        for region in find_agreements_and_conflicts(segment.slm.spans, segment.llm.entities)[1]:
            entropy, llm_prob = region_rule.measure_entropy_and_llm_prob(region, segment.slm, segment.llm)
            winner = "slm" if slm_wins(entropy, llm_prob, region_rule.weight) else "llm"
            if fused_spans is not None:
                winner = _winner_by_output(region, fused)
            gold = tuple(span for span in segment.gold if span.start < region.end and region.start < span.end)
            right = (
                "slm" if set(region.slm_spans) == set(gold)
                else "llm" if set(region.llm_spans) == set(gold)
                else "neither"
            )  # fmt: skip
            conflicts.append(JudgedConflict(segment, region, gold, fused, entropy, llm_prob, winner, right))
    return conflicts


def _winner_by_output(region: ConflictRegion, fused_spans: Sequence[Span]) -> str:
    """Return the side whose entities the output has in a region.

    Returns `neither` if the output has entities of both sides, or only some entities of one side.
    """
    inside = {span for span in fused_spans if span.start < region.end and region.start < span.end}
    return "slm" if inside == set(region.slm_spans) else "llm" if inside == set(region.llm_spans) else "neither"


def summarize_conflicts(segments: Sequence[SegmentPrediction], conflicts: Sequence[JudgedConflict]) -> ConflictSummary:
    """Count how often each side was right, and compute the F1 of the best choice of sides (oracle)."""
    right = [conflict.right for conflict in conflicts]
    return ConflictSummary(
        n=len(conflicts),
        slm_right=right.count("slm"),
        llm_right=right.count("llm"),
        both_wrong=right.count("neither"),
        fused_right=sum(conflict.right == conflict.winner != "neither" for conflict in conflicts),
        oracle_f1=_oracle_f1(segments, conflicts),
    )


def _oracle_f1(segments: Sequence[SegmentPrediction], conflicts: Sequence[JudgedConflict]) -> float:
    """Return the maximum of F1 = 2 right / (predicted + gold) over all choices of sides.

    This is Dinkelbach's method. For a given f1, choose in each region the side with the larger `2 right - f1 *
    predicted`. The F1 of this choice is the next f1. Start at f1 = 1, and stop when F1 no longer rises.
    """
    choices = [
        [(len(set(spans) & set(conflict.gold)), len(spans)) for spans in conflict.sides.values()]
        for conflict in conflicts
    ]
    n_gold = sum(len(segment.gold) for segment in segments)
    agreed = [
        find_agreements_and_conflicts(segment.slm.spans, segment.llm.entities)[0] if segment.llm else segment.slm.spans
        for segment in segments
    ]
    n_right = sum(len(set(spans) & set(segment.gold)) for spans, segment in zip(agreed, segments, strict=True))
    n_predicted = sum(map(len, agreed))

    best, f1 = -1.0, 1.0  # at f1 = 1, `2 right - predicted` is right minus wrong
    while True:
        taken = [max(sides, key=lambda side: 2 * side[0] - f1 * side[1]) for sides in choices]
        reached = Score(
            n_right + sum(right for right, _ in taken), n_predicted + sum(predicted for _, predicted in taken), n_gold
        ).f1
        if reached <= best:
            return best
        best = f1 = reached


def select_disagreements(
    conflicts: Sequence[JudgedConflict], region_rule: RegionRule, limit: int = 60
) -> list[Disagreement]:
    """Select at most `limit` conflicts, spread over types and outcomes.

    region_rule: the rule whose lambda is used for the margins.

    Within each type and outcome, conflicts with the largest margin come first. The same text and region is selected
    only once.
    """
    groups: dict[tuple[int, str], list[JudgedConflict]] = defaultdict(list)
    seen = set()
    for conflict in sorted(conflicts, key=lambda conflict: -conflict.margin(region_rule.weight)):
        key = (conflict.segment.text, conflict.region.start)
        if key not in seen:
            seen.add(key)
            outcome = _OUTCOME_ORDER.index((conflict.right, conflict.winner))
            groups[outcome, _leading_type(conflict)].append(conflict)
    selected: list[JudgedConflict] = []
    depth = 0
    while len(selected) < limit and any(depth < len(group) for group in groups.values()):
        selected += [groups[key][depth] for key in sorted(groups) if depth < len(groups[key])]
        depth += 1
    return [_build_disagreement_with_context(conflict) for conflict in selected[:limit]]


def _leading_type(conflict: JudgedConflict) -> str:
    """Return the type of the first entity in a conflict: of a gold entity, else of one that either side predicted."""
    return next(span.type for spans in (conflict.gold, *conflict.sides.values()) for span in spans)


def _build_disagreement_with_context(conflict: JudgedConflict) -> Disagreement:
    segment, region = conflict.segment, conflict.region
    if segment.llm is None:
        raise ValueError("a conflict without an LLM answer")
    spans = {
        "gold": segment.gold,
        "slm": segment.slm.spans,
        "llm": segment.llm.spans,
        "fused": conflict.fused,
    }
    start = max(0, region.start - _CONTEXT_CHARS)
    end = min(len(segment.text), region.end + _CONTEXT_CHARS)
    cut = True
    while cut:  # extend the text until its edges cut no entity
        crossing = [s for group in spans.values() for s in group if s.start < start < s.end or s.start < end < s.end]
        start, end = min([start, *(s.start for s in crossing)]), max([end, *(s.end for s in crossing)])
        cut = bool(crossing)
    return Disagreement(
        doc_id=segment.doc_id,
        start=segment.start + start,
        text=segment.text[start:end],
        **{
            name: tuple((s.start, s.end, s.type) for s in crop_spans(group, start, end))
            for name, group in spans.items()
        },
        region=(region.start - start, region.end - start),
        entropy=conflict.entropy,
        probability=conflict.llm_prob,
        winner=conflict.winner,
        right=conflict.right,
    )
