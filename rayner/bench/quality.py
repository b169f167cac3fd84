"""Measure F1 on the test sentences if sentences share examples, and if the LLM is asked about fewer sentences."""

from collections.abc import Sequence
from dataclasses import replace

from rayner.bench.setup import BenchmarkSetup, build_llm_stage, fused_spans, load_benchmark_gate, score_with_slm
from rayner.bench.timing import BenchmarkRow
from rayner.evaluation.metrics import EntityCounts, count_entities, f1_difference_with_bootstrap_interval, micro_score
from rayner.steps import score
from rayner.steps.tag.stages import UnitSegments
from rayner.text.predictions import SegmentPrediction


def measure_f1_differences(setup: BenchmarkSetup) -> list[BenchmarkRow]:
    """Compare F1 of the LLM alone and of both models fused, with shared examples and with fewer LLM requests.

    In the LLM's F1, g sentences share their examples, or each sentence has examples of its own (g = 1). The fused F1
    is compared in the same way. It is also compared with a run in which the LLM is asked only about the share
    `bench.gate_share` of the sentences.
    """
    config, run = setup.config, setup.run
    group, share, seed = config.bench.prompt_group, config.bench.gate_share, config.seed
    unit = score_with_slm(config, run, UnitSegments("test", score.read_unpredicted_segments(run, "test")))
    types = run.entity_types()
    gold = [segment.gold for segment in unit.segments]
    group_sizes = (1, *sorted({4, group} - {1}))
    answered = {size: _answer_with_shared_examples(setup, unit, size) for size in group_sizes}
    llm_counts = {
        size: count_entities(gold, [row.llm.spans if row.llm else () for row in rows], types)
        for size, rows in answered.items()
    }
    gate = load_benchmark_gate(config, run, share=share)
    budgeted = [row if gate.decide(row).ask_llm else replace(row, llm=None) for row in answered[group]]
    asked = sum(row.llm is not None for row in budgeted) / len(budgeted)
    own, shared, limited = (
        count_entities(gold, fused_spans(rows, gate.rule), types) for rows in (answered[1], answered[group], budgeted)
    )
    rows = [
        _build_f1_difference_row(
            f"LLM F1, g = {size}", "g = 1", llm_counts[size], llm_counts[1], "within 0.5 points", seed
        )
        for size in group_sizes[1:]
    ]
    aim, figure = "within 0.3 points", f"fused F1, g = {group}, gate.share={share:g}"
    return [
        *rows,
        _build_f1_difference_row(f"fused F1, g = {group}", "g = 1", shared, own, "none", seed),
        _build_f1_difference_row(f"{figure} (asked: {asked:.0%})", "exact, g = 1", limited, own, aim, seed),
        _build_f1_difference_row(figure, f"exact, g = {group}", limited, shared, aim, seed),
    ]


def _answer_with_shared_examples(
    setup: BenchmarkSetup, unit: UnitSegments, group_size: int
) -> Sequence[SegmentPrediction]:
    """Add the LLM's answers to held-out sentences.

    Groups of `group_size` neighbours in the labelled file share their examples.
    """
    stage = setup.ungated.stage if group_size == 1 else build_llm_stage(setup.config, setup.run, None, group_size)
    return stage(
        replace(unit, texts_sharing_examples=score.find_texts_sharing_examples(setup.run, unit.segments, group_size))
    ).segments


def _build_f1_difference_row(
    figure: str, against: str, counts: EntityCounts, baseline_counts: EntityCounts, aim: str, seed: int
) -> BenchmarkRow:
    difference, low, high = (
        f"{100 * f1:+.2f}" for f1 in f1_difference_with_bootstrap_interval(counts, baseline_counts, seed=seed)
    )
    remark = f"{low} to {high}; {100 * micro_score(counts).f1:.2f} and {100 * micro_score(baseline_counts).f1:.2f}"
    return BenchmarkRow(figure, against, f"{difference} points", aim, remark)
