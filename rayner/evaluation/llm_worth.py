"""What the LLM's answers are worth: the fusion against its LLM-free control on the same labelled sentences."""

from collections.abc import Sequence

from rayner.evaluation.metrics import count_entities, f1_difference_with_bootstrap_interval, micro_score
from rayner.fusion.control import LlmWorth
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span


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
