"""What the LLM's answers are worth: the fusion against its LLM-free control on the same labelled sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from rayner.evaluation.metrics import count_entities, f1_difference_with_bootstrap_interval, micro_score
from rayner.fusion.control import with_empty_answer
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span


@dataclass(frozen=True)
class LlmWorth:
    """The strict micro F1 of a fusion and of its control, and the difference.

    interval: paired bootstrap interval (95%) of the difference.
    """

    n_sentences: int
    fused_f1: float
    control_f1: float
    difference: float
    interval: tuple[float, float]

    def describe(self) -> str:
        """Describe the worth in words, with F1 in percent and the difference in points."""
        low, high = self.interval
        verdict = (
            "the LLM helps beyond chance" if low > 0
            else "the LLM harms beyond chance" if high < 0
            else "not distinguishable from chance"
        )  # fmt: skip
        return (
            f"fusion F1 {100 * self.fused_f1:.2f}, the control without the LLM {100 * self.control_f1:.2f}, so the LLM "
            f"is worth {100 * self.difference:+.2f} points (95% interval {100 * low:+.2f} to {100 * high:+.2f}; "
            f"{verdict})"
        )


def measure_llm_worth(
    segments: Sequence[SegmentPrediction], rule: FusionRule, control: FusionRule, types: Sequence[str], *, seed: int
) -> LlmWorth | None:
    """Compare a fusion rule with its control on labelled segments. Return None without segments.

    control: the rule that was fitted on empty answers.
    """
    fused = [[entity.span for entity in rule.decide(segment)] for segment in segments]
    controlled = [[entity.span for entity in control.decide(with_empty_answer(segment))] for segment in segments]
    return compare_with_control(segments, fused, controlled, types, seed=seed)


def compare_with_control(
    segments: Sequence[SegmentPrediction],
    fused: Sequence[Sequence[Span]],
    controlled: Sequence[Sequence[Span]],
    types: Sequence[str],
    *,
    seed: int,
) -> LlmWorth | None:
    """Compare the entities of a fusion and of its control in each segment. Return None without segments."""
    if not segments:
        return None
    gold = [segment.gold for segment in segments]
    all_types = sorted({*types, *(span.type for spans in (*gold, *fused, *controlled) for span in spans)})
    fused_counts, control_counts = (count_entities(gold, spans, all_types) for spans in (fused, controlled))
    difference, *interval = f1_difference_with_bootstrap_interval(fused_counts, control_counts, seed=seed)
    fused_f1, control_f1 = micro_score(fused_counts).f1, micro_score(control_counts).f1
    return LlmWorth(len(segments), fused_f1, control_f1, difference, (interval[0], interval[1]))
