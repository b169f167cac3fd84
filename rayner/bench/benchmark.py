"""The benchmark: this system's stages against peers, on a run's models and real text, side by side in one process."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rayner.bench import peers
from rayner.bench.cost import costs
from rayner.bench.decoding_speed import measure_decoding
from rayner.bench.end_to_end import measure_end_to_end
from rayner.bench.llm_stage import (
    ALL_THREADS,
    BenchmarkSetup,
    build_llm_stage,
    fused_spans,
    load_benchmark_gate,
    measure_llm_stage,
    prepare_benchmark,
)
from rayner.bench.timing import BenchmarkRow, fastest_batch_size, format_markdown_table, speedup_row, time_in_turns
from rayner.config.settings import Config, config_to_dict
from rayner.corpus.reading import CorpusSurvey, read_documents, require_corpus
from rayner.evaluation.metrics import EntityCounts, count_entities, micro_score, paired_bootstrap_interval
from rayner.modeling.training import resolve_device, set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, write_json
from rayner.steps import score
from rayner.steps.tag.stages import SlmStage, UnitPredictions
from rayner.taggers import encoder
from rayner.text.predictions import NOTHING, SegmentPrediction
from rayner.text.segmentation import bounds_without_whitespace, split_sentences


def run_benchmark(config: Config, run: Run) -> list[BenchmarkRow]:
    """Measure, print the table, write `run_benchmark.json` into the run folder."""
    set_torch_threads(ALL_THREADS)
    what = prepare_benchmark(config, run, _score_corpus_sentences(config, run))
    lines: list[BenchmarkRow] = []
    for part in (measure_llm_stage, measure_decoding, costs, measure_slm, measure_quality):
        lines += part(what)
        log.info("%s: done", part.__name__)
    if config.bench.end_to_end:
        lines += measure_end_to_end(config, run)
    write_json(run.path("bench.json"), [config_to_dict(line) for line in lines])
    log.info("\n%s", format_markdown_table(lines))
    return lines


def _score_corpus_sentences(config: Config, run: Run) -> UnitPredictions:
    """The first sentences of the corpus, neighbours as they stand, scored by the small model."""
    rows: list[SegmentPrediction] = []
    for item in read_documents(require_corpus(config), CorpusSurvey()):
        text = item.text
        rows += [
            SegmentPrediction(item.doc_id, start, end, text[start:end], NOTHING) for start, end in split_sentences(text)
        ]
        if len(rows) >= config.bench.sentences:
            break
    return _score_with_slm(config, run, UnitPredictions("bench", rows[: config.bench.sentences]))


def _score_with_slm(config: Config, run: Run, unit: UnitPredictions) -> UnitPredictions:
    return SlmStage(config, run)(unit)


def measure_slm(what: BenchmarkSetup) -> list[BenchmarkRow]:
    """The small model against transformers' pipeline, in characters a second: in its precision, and in 16 bits."""
    config, run = what.config, what.run
    device, folder, settings = resolve_device(config.device), run.local_path("models", "slm"), config.slm
    texts = [
        item.text[slice(*bounds_without_whitespace(item.text))] for item in what.unit.segments if item.text.strip()
    ] * 4
    peer = peers.load_token_classifier(folder, device)
    taggers = {
        dtype: encoder.load_encoder_tagger(folder, device, config=settings, dtype=dtype)
        for dtype in ("float32", "bfloat16")
    }
    theirs = fastest_batch_size(lambda size: peer(texts, size))

    def predict_in_batches(tagger: encoder.EncoderTagger) -> Callable[[int], Any]:
        return lambda size: replace(tagger, batch_size=size).predict(texts)

    sizes = {dtype: fastest_batch_size(predict_in_batches(tagger)) for dtype, tagger in taggers.items()}
    works = {
        dtype: partial(replace(tagger, batch_size=sizes[dtype]).predict, texts) for dtype, tagger in taggers.items()
    }
    seconds = time_in_turns(config.bench.rounds, {"theirs": lambda: peer(texts, theirs), **works})
    characters = sum(map(len, texts))
    lines = [
        speedup_row(
            f"SLM characters a second, {dtype}",
            "transformers.pipeline",
            seconds["theirs"],
            seconds[dtype],
            "3",
            f"{characters / seconds[dtype]:,.0f} to {characters / seconds['theirs']:,.0f}; "
            f"batches of {sizes[dtype]} and {theirs}",
        )
        for dtype in works
    ]
    one, other = (works[dtype]() for dtype in works)
    same = sum(a.spans == b.spans for a, b in zip(one, other, strict=True))
    drift = statistics.mean(float(abs(a.entropy - b.entropy).mean()) for a, b in zip(one, other, strict=True))
    alike = BenchmarkRow("SLM sentences alike in bfloat16 and float32", "each other", f"{same} of {len(texts)}", "told",
                 f"entropies differ by {drift:.1e} nats on average")  # fmt: skip
    return [*lines, alike]


def measure_quality(what: BenchmarkSetup) -> list[BenchmarkRow]:
    """F1 on the test sentences: of the LLM with its own and with shared examples, and of the fusion in each mode."""
    config, run = what.config, what.run
    scored = _score_with_slm(config, run, UnitPredictions("test", score.held_out_segments(run, "test")))
    rows = scored.segments
    rule, types = load_benchmark_gate(config, run).rule, run.step_result("data")["types"]
    gold, g, share = [item.gold for item in rows], config.bench.group, config.bench.share
    sizes = (1, *sorted({4, g} - {1}))
    answers = {n: _score_test_with_llm(what, scored, n) for n in sizes}
    llm = {
        n: count_entities(gold, [i.llm.spans if i.llm else () for i in found], types) for n, found in answers.items()
    }
    own, shared = answers[1], answers[g]
    gate = load_benchmark_gate(config, run, share=share)
    budgeted = [item if gate.should_ask_llm(item) else replace(item, llm=None) for item in shared]
    done = [count_entities(gold, [fused_spans(i, rule) for i in found], types) for found in (own, shared, budgeted)]
    part = sum(item.llm is not None for item in budgeted) / len(rows)
    return [
        *[
            _f1_difference_row(f"LLM F1, g = {n}", "g = 1", llm[n], llm[1], "within 0.5 points", config.seed)
            for n in sizes[1:]
        ],
        _f1_difference_row(f"fused F1, g = {g}", "g = 1", done[1], done[0], "told", config.seed),
        _f1_difference_row(
            f"fused F1, g = {g}, gate.share={share:g} (asked: {part:.0%})",
            "exact, g = 1",
            done[2],
            done[0],
            "within 0.3 points",
            config.seed,
        ),
        _f1_difference_row(
            f"fused F1, g = {g}, gate.share={share:g}",
            f"exact, g = {g}",
            done[2],
            done[1],
            "within 0.3 points",
            config.seed,
        ),
    ]


def _score_test_with_llm(what: BenchmarkSetup, scored: UnitPredictions, group: int) -> Sequence[SegmentPrediction]:
    """Held-out sentences with the LLM's answers, each shown what it shares with its neighbours in its file."""
    stage = what.ungated.stage if group == 1 else build_llm_stage(what.config, what.run, None, group)
    return stage(replace(scored, example_groups=score.example_groups(what.run, scored.segments, group))).segments


def _f1_difference_row(
    figure: str, against: str, ours: EntityCounts, theirs: EntityCounts, aim: str, seed: int
) -> BenchmarkRow:
    difference, low, high = (f"{100 * value:+.2f}" for value in paired_bootstrap_interval(ours, theirs, seed=seed))
    remark = f"{low} to {high}; {100 * micro_score(ours).f1:.2f} and {100 * micro_score(theirs).f1:.2f}"
    return BenchmarkRow(figure, against, f"{difference} points", aim, remark)
