"""The benchmark: this system's stages against peers, on a run's models and real text, side by side in one process."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rayner.bench import peers
from rayner.bench.cost import costs
from rayner.bench.decoding import decoding
from rayner.bench.end_to_end import end_to_end
from rayner.bench.llm_stage import ALL_THREADS, Setup, fused, gate_of, llm_stage, setup, stage_of
from rayner.bench.measure import Line, best_size, compared, table, turns
from rayner.config.settings import Config, resolved
from rayner.corpus.reading import Survey, corpus_of, texts_of
from rayner.evaluation.metrics import Counts, count, micro, paired_interval
from rayner.modeling.training import device_of, use_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, write_json
from rayner.steps import score
from rayner.steps.tag.stages import LoadedUnit, SlmStage
from rayner.taggers import encoder
from rayner.text.predictions import NOTHING, Scored
from rayner.text.segmentation import core, sentences


def bench(config: Config, run: Run) -> list[Line]:
    """Measure, print the table, write `bench.json` into the run folder."""
    use_threads(ALL_THREADS)
    what = setup(config, run, _chapters(config, run))
    lines: list[Line] = []
    for part in (llm_stage, decoding, costs, small_model, quality):
        lines += part(what)
        log.info("%s: done", part.__name__)
    if config.bench.end_to_end:
        lines += end_to_end(config, run)
    write_json(run.path("bench.json"), [resolved(line) for line in lines])
    log.info("\n%s", table(lines))
    return lines


def _chapters(config: Config, run: Run) -> LoadedUnit:
    """The first sentences of the corpus, neighbours as they stand, scored by the small model."""
    rows: list[Scored] = []
    for item in texts_of(corpus_of(config), Survey()):
        text = item.text
        rows += [Scored(item.doc_id, start, end, text[start:end], NOTHING) for start, end in sentences(text)]
        if len(rows) >= config.bench.sentences:
            break
    return _by_small_model(config, run, LoadedUnit("bench", rows[: config.bench.sentences]))


def _by_small_model(config: Config, run: Run, unit: LoadedUnit) -> LoadedUnit:
    return SlmStage(config, run)(unit)


def small_model(what: Setup) -> list[Line]:
    """The small model against transformers' pipeline, in characters a second: in its precision, and in 16 bits."""
    config, run = what.config, what.run
    device, folder, settings = device_of(config.device), run.local("models", "slm"), config.slm
    texts = [item.text[slice(*core(item.text))] for item in what.unit.segments if item.text.strip()] * 4
    tagger = peers.tagger(folder, device)
    models = {dtype: encoder.load(folder, device, dtype=dtype) for dtype in ("float32", "bfloat16")}
    work = partial(encoder.score, size=settings.max_chars, overlap=settings.overlap)
    theirs = best_size(lambda size: tagger(texts, size))

    def sized(model: encoder.Slm) -> Callable[[int], Any]:
        return lambda size: work(model, texts, batch_size=size)

    sizes = {dtype: best_size(sized(model)) for dtype, model in models.items()}
    works = {dtype: partial(work, model, texts, batch_size=sizes[dtype]) for dtype, model in models.items()}
    seconds = turns(config.bench.rounds, {"theirs": lambda: tagger(texts, theirs), **works})
    characters = sum(map(len, texts))
    lines = [
        compared(f"SLM characters a second, {dtype}", "transformers.pipeline", seconds["theirs"], seconds[dtype], "3",
                 f"{characters / seconds[dtype]:,.0f} to {characters / seconds['theirs']:,.0f}; "
                 f"batches of {sizes[dtype]} and {theirs}")
        for dtype in works
    ]  # fmt: skip
    one, other = (works[dtype]() for dtype in works)
    same = sum(a.spans == b.spans for a, b in zip(one, other, strict=True))
    drift = statistics.mean(float(abs(a.entropy - b.entropy).mean()) for a, b in zip(one, other, strict=True))
    alike = Line("SLM sentences alike in bfloat16 and float32", "each other", f"{same} of {len(texts)}", "told",
                 f"entropies differ by {drift:.1e} nats on average")  # fmt: skip
    return [*lines, alike]


def quality(what: Setup) -> list[Line]:
    """F1 on the test sentences: of the LLM with its own and with shared examples, and of the fusion in each mode."""
    config, run = what.config, what.run
    scored = _by_small_model(config, run, LoadedUnit("test", score.segments(run, "test")))
    rows = scored.segments
    rule, types = gate_of(config, run).rule, run.facts("data")["types"]
    gold, g, share = [item.gold for item in rows], config.bench.group, config.bench.share
    sizes = (1, *sorted({4, g} - {1}))
    answers = {n: _answered(what, scored, n) for n in sizes}
    llm = {n: count(gold, [i.llm.plain if i.llm else () for i in found], types) for n, found in answers.items()}
    own, shared = answers[1], answers[g]
    gate = gate_of(config, run, share=share)
    budgeted = [item if gate.asks(item) else replace(item, llm=None) for item in shared]
    done = [count(gold, [fused(i, rule) for i in found], types) for found in (own, shared, budgeted)]
    part = sum(item.llm is not None for item in budgeted) / len(rows)
    return [
        *[_compared(f"LLM F1, g = {n}", "g = 1", llm[n], llm[1], "within 0.5 points", config.seed) for n in sizes[1:]],
        _compared(f"fused F1, g = {g}", "g = 1", done[1], done[0], "told", config.seed),
        _compared(f"fused F1, g = {g}, gate.share={share:g} (asked: {part:.0%})", "exact, g = 1", done[2], done[0],
                  "within 0.3 points", config.seed),
        _compared(f"fused F1, g = {g}, gate.share={share:g}", f"exact, g = {g}", done[2], done[1],
                  "within 0.3 points", config.seed),
    ]  # fmt: skip


def _answered(what: Setup, scored: LoadedUnit, group: int) -> Sequence[Scored]:
    """Held-out sentences with the LLM's answers, each shown what it shares with its neighbours in its file."""
    stage = what.whole.stage if group == 1 else stage_of(what.config, what.run, None, group)
    return stage(replace(scored, groups=score.groups_of(what.run, scored.segments, group))).segments


def _compared(figure: str, against: str, ours: Counts, theirs: Counts, aim: str, seed: int) -> Line:
    difference, low, high = (f"{100 * value:+.2f}" for value in paired_interval(ours, theirs, seed=seed))
    remark = f"{low} to {high}; {100 * micro(ours).f1:.2f} and {100 * micro(theirs).f1:.2f}"
    return Line(figure, against, f"{difference} points", aim, remark)
