"""The benchmark: this system's stages against peers, on a run's models and real text, side by side in one process."""

from collections.abc import Sequence
from dataclasses import replace

from rayner.cluster import score
from rayner.cluster.bench_llm import ALL_THREADS, decoding, fused, gate_of, llm_stage, stage_of
from rayner.cluster.bench_tag import whole_corpus
from rayner.cluster.measure import Line, best_size, table, turns
from rayner.cluster.plan import plan
from rayner.cluster.session import log
from rayner.cluster.stages import SlmStage, segments_of, unit_row
from rayner.config import Config, resolved
from rayner.corpus.readers import read_text
from rayner.models import peers, slm
from rayner.models.training import device_of, use_threads
from rayner.ner.metrics import Counts, count, micro, paired_interval
from rayner.ner.scores import NOTHING, Scored
from rayner.ner.segment import core, sentences
from rayner.run import Run, write_json


def bench(config: Config, run: Run) -> list[Line]:
    """Measure, print the table, write `bench.json` into the run folder."""
    chapters = _chapters(config, run)
    lines: list[Line] = []
    for part in (llm_stage, decoding, small_model, quality):
        lines += part(config, run, chapters)
        log.info("%s: done", part.__name__)
    if config.bench.end_to_end:
        lines += whole_corpus(config, run)
    write_json(run.path("bench.json"), [resolved(line) for line in lines])
    log.info("\n%s", table(lines))
    return lines


def _chapters(config: Config, run: Run) -> list[Scored]:
    """The first sentences of the corpus, neighbours as they stand, scored by the small model."""
    rows: list[Scored] = []
    for piece in (piece for unit in plan(config.corpus or "", config.score.unit_chars).units for piece in unit):
        text = read_text(piece.path)[piece.start : piece.end]
        rows += [
            Scored(piece.doc_id, piece.start + start, piece.start + end, text[start:end], NOTHING)
            for start, end in sentences(text)
        ]
        if len(rows) >= config.bench.sentences:
            break
    return _by_small_model(config, run, rows[: config.bench.sentences])


def _by_small_model(config: Config, run: Run, rows: list[Scored]) -> list[Scored]:
    stage = SlmStage(config, run)
    use_threads(ALL_THREADS)
    return segments_of(stage(unit_row("bench", rows)))


def small_model(config: Config, run: Run, chapters: Sequence[Scored]) -> list[Line]:
    """The small model against transformers' pipeline, in characters a second."""
    device, folder = device_of(config.device), run.path("models", "slm")
    texts = [item.text[slice(*core(item.text))] for item in chapters if item.text.strip()] * 4
    tagger, loaded = peers.tagger(folder, device), slm.load(folder, device)
    size = best_size(lambda size: tagger(texts, size))
    settings = config.slm
    works = {
        "ours": lambda: slm.score(
            loaded, texts, size=settings.max_chars, overlap=settings.overlap, batch_size=config.score.slm.batch_size
        ),
        "theirs": lambda: tagger(texts, size),
    }
    seconds = turns(config.bench.rounds, works)
    ratio, rate = seconds["theirs"] / seconds["ours"], sum(map(len, texts)) / seconds["ours"]
    remark = f"{rate:,.0f} a second; its batches of {size}"
    return [Line("SLM characters a second", "transformers.pipeline", f"{ratio:.1f} times", "3 times", remark)]


def quality(config: Config, run: Run, _: Sequence[Scored]) -> list[Line]:
    """F1 on the test sentences: of the LLM with its own and with shared examples, and of the fusion in each mode."""
    rows = _by_small_model(config, run, score.segments(run, "test"))
    rule, types = gate_of(config, run).rule, run.facts("data")["types"]
    gold, g, share = [item.gold for item in rows], config.bench.group, config.bench.share
    own, shared = (
        segments_of(stage_of(config, run, None, n)(unit_row("test", rows, score.groups_of(run, rows, n))))
        for n in (1, g)
    )
    llm = [count(gold, [i.llm.plain if i.llm else () for i in found], types) for found in (own, shared)]
    gate = gate_of(config, run, share=share)
    budgeted = [item if gate.asks(item.slm) else replace(item, llm=None) for item in shared]
    done = [count(gold, [fused(i, rule) for i in found], types) for found in (own, shared, budgeted)]
    part = sum(item.llm is not None for item in budgeted) / len(rows)
    return [
        _compared(f"LLM F1, g = {g}", "g = 1", llm[1], llm[0], "within 0.5 points", config.seed),
        _compared(f"fused F1, g = {g}", "g = 1", done[1], done[0], "", config.seed),
        _compared(f"fused F1, g = {g}, gate.share={share:g} (asked: {part:.0%})", "exact, g = 1", done[2], done[0],
                  "within 0.3 points", config.seed),
    ]  # fmt: skip


def _compared(figure: str, against: str, ours: Counts, theirs: Counts, aim: str, seed: int) -> Line:
    difference, low, high = (f"{100 * value:+.2f}" for value in paired_interval(ours, theirs, seed=seed))
    remark = f"{low} to {high}; {100 * micro(ours).f1:.2f} and {100 * micro(theirs).f1:.2f}"
    return Line(figure, against, f"{difference} points", aim, remark)
