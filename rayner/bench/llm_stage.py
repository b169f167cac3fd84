"""The LLM stage against the published way of running it: time, tokens, and what comes out."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from rayner.bench import peers
from rayner.bench.timing import BenchmarkRow, fastest_batch_size, speedup_row, time_in_turns
from rayner.config.settings import Config
from rayner.decoding.draft_verify import DecodingCost, DraftVerifyEngine, WindowRequest
from rayner.decoding.drafting import draft_steps
from rayner.fusion.budget import Budget, fit_budget
from rayner.fusion.deciding import FusionRule, decide
from rayner.fusion.region_rule import RegionRule
from rayner.modeling.batching import inference_batches
from rayner.runs.run_folder import Run, read_json
from rayner.steps import score
from rayner.steps.tag.stages import Gate, LlmStage, UnitPredictions
from rayner.text.predictions import SegmentPrediction
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import Span, crop_spans

ALL_THREADS = 2**10  # as many as there are: a benchmark has the machine to itself


def load_benchmark_gate(config: Config, run: Run, **values: Any) -> Gate:  # noqa: ANN401 - the fields of Gate
    """The gate of a run's rule by regions, or of the same rule with `bench.weight` for its lambda."""
    fusion = read_json(run.path("fusion.json"))
    rule, budget = RegionRule(**fusion["rule"]), Budget(**fusion["budget"])
    if config.bench.weight is not None:
        rule = replace(rule, weight=config.bench.weight)
    if config.bench.weight is not None or fusion["chosen"] != "regions":
        budget = fit_budget(score.read_answered(run, "dev"), rule)
    return Gate(rule, budget, **values)


def build_llm_stage(config: Config, run: Run, gate: Gate | None, group: int = 1, *, draft: bool = True) -> LlmStage:
    """The LLM stage under other settings."""
    settings = replace(config, prompt=replace(config.prompt, group=group), score=replace(config.score, draft=draft))
    return LlmStage(settings, run, gate)


@dataclass(frozen=True)
class ObservedStage:
    """The LLM stage run in one way, and what was seen when it met the unit that is measured.

    after: the segments with its answers; asked: what the LLM was asked, these answers for drafts; work: what it cost.
    """

    stage: LlmStage
    decoder: DraftVerifyEngine
    segments: Sequence[SegmentPrediction]
    tasks: Sequence[WindowRequest]
    work: DecodingCost


def observe_stage(stage: LlmStage, unit: UnitPredictions) -> ObservedStage:
    """A stage that drafts, run once over a unit."""
    if not isinstance(stage.decoder, DraftVerifyEngine):
        raise TypeError("this stage decodes token by token")
    before = replace(stage.decoder.cost)
    after, work = stage(unit).segments, stage.decoder.cost
    spent = DecodingCost(work.batches - before.batches, work.tokens - before.tokens, work.padding - before.padding)
    answered = [(item, bounds_without_whitespace(item.text), item.llm.spans) for item in after if item.llm is not None]
    questions = [stage.build_question(item, place) for item, place, _ in answered]
    shown = stage.retriever.find_examples([question.text for question in questions])
    asked = [
        WindowRequest(question.text, near, crop_spans(spans, *place), question.stop_mask)
        for question, near, (_, place, spans) in zip(questions, shown, answered, strict=True)
    ]
    return ObservedStage(stage, stage.decoder, after, asked, spent)


@dataclass(frozen=True)
class BenchmarkSetup:
    """What is measured: a unit of sentences, scored by the small model, and the LLM stage over it.

    whole: asked about every sentence, g = 1; modes: exact, with shared examples, with a budget too.
    """

    config: Config
    run: Run
    unit: UnitPredictions
    ungated: ObservedStage
    modes: dict[str, ObservedStage]


def prepare_benchmark(config: Config, run: Run, unit: UnitPredictions) -> BenchmarkSetup:
    """Load everything once, and see what each mode does."""
    g, share = config.bench.group, config.bench.share
    modes = {
        "exact, g = 1": build_llm_stage(config, run, load_benchmark_gate(config, run)),
        f"exact gate, g = {g}": build_llm_stage(config, run, load_benchmark_gate(config, run), g),
        f"g = {g}, gate.share={share:g}": build_llm_stage(
            config, run, load_benchmark_gate(config, run, share=share), g
        ),
    }
    whole = observe_stage(build_llm_stage(config, run, None), unit)
    return BenchmarkSetup(config, run, unit, whole, {name: observe_stage(stage, unit) for name, stage in modes.items()})


def fused_spans(item: SegmentPrediction, rule: FusionRule) -> tuple[Span, ...]:
    """The fused entities of a segment."""
    return tuple(decision.span for decision in decide(item, rule))


class PublishedMethod:
    """The published way: every sentence, examples of its own, token by token, by a peer engine."""

    def __init__(self, whole: ObservedStage) -> None:
        self.llm, self.retriever, self.tasks = whole.decoder.llm, whole.stage.retriever, whole.tasks
        self.lengths = [len(self.llm.build_grammar(task.text).spell_answer(task.draft)) for task in self.tasks]
        self.size = fastest_batch_size(
            lambda size: peers.generate_with_transformers(self.llm, self.build_prompts(), self.lengths, size)
        )
        self.tokens = sum(map(len, self.build_prompts())) + sum(self.lengths)

    def run_transformers(self) -> None:
        """Retrieve, write the prompts, generate by transformers."""
        peers.generate_with_transformers(self.llm, self.build_prompts(), self.lengths, self.size)

    def run_vllm(self, engine: peers.VllmProcess) -> None:
        """The same by vLLM, which was given these prompts before."""
        self.build_prompts()
        engine.generate_all()

    def build_prompts(self) -> list[list[int]]:
        """Each sentence's prompt."""
        texts = [task.text for task in self.tasks]
        return [
            self.llm.prompt_tokens(near, text)
            for near, text in zip(self.retriever.find_examples(texts), texts, strict=True)
        ]


def measure_llm_stage(what: BenchmarkSetup) -> list[BenchmarkRow]:
    """The whole stage, gate to stitched answers, in three modes, against the published way on the faster engine."""
    config, unit, modes, peer = what.config, what.unit, what.modes, PublishedMethod(what.ungated)
    works: dict[str, Callable[[], Any]] = {name: partial(mode.stage, unit) for name, mode in modes.items()}
    theirs: dict[str, Callable[[], Any]] = {"transformers.generate": peer.run_transformers}
    with peers.open_vllm(config.bench.vllm, peer.llm, peer.build_prompts(), peer.lengths) as engine:
        if engine:
            theirs["vLLM"] = partial(peer.run_vllm, engine)
        seconds = time_in_turns(config.bench.rounds, theirs | works)
    best, n = min(theirs, key=lambda name: seconds[name]), len(unit.segments)
    others = "; ".join(f"{name} {seconds[name]:.2f} s" for name in theirs)
    times, read, padded = [], [], 0.0
    for (name, mode), aim in zip(modes.items(), (("3", "1/2"), ("10", "1/10"), ("25", "1/25")), strict=True):
        remark = f"{seconds[name]:.3f} s; {others}; {n} sentences"
        times.append(
            speedup_row(f"LLM stage, {name}", f"published way, {best}", seconds[best], seconds[name], aim[0], remark)
        )
        work = mode.work
        remark = f"{work.tokens / n:.1f} to {peer.tokens / n:.1f}"
        ratio = peer.tokens / max(1, work.tokens)
        read.append(BenchmarkRow(f"LLM tokens a sentence, {name}", "published way", f"1/{ratio:.1f}", aim[1], remark))
        padded = max(padded, work.padding / max(1, work.padding + work.tokens))
    padding = BenchmarkRow("padding, in the worst of these modes", "all tokens forwarded", f"{padded:.1%}", "under 10%")
    exact = next(iter(modes.values()))
    return [*times, *read, padding, _compare_exact_output(what, exact), _compare_with_one_pass(what, exact)]


def _compare_exact_output(what: BenchmarkSetup, exact: ObservedStage) -> BenchmarkRow:
    """The fused output of the exact mode against that with everything off."""
    rule = load_benchmark_gate(what.config, what.run).rule
    plain, ours = build_llm_stage(what.config, what.run, None, draft=False)(what.unit).segments, exact.segments
    same = sum(fused_spans(a, rule) == fused_spans(b, rule) for a, b in zip(ours, plain, strict=True))
    passes = [item.llm.passes for item in ours if item.llm]
    remark = f"{len(passes)} asked, {statistics.mean(passes or [0]):.2f} passes each"
    return BenchmarkRow(
        "sentences fused alike, exact", "no gate, token by token", f"{same} of {len(ours)}", "all", remark
    )


def _compare_with_one_pass(what: BenchmarkSetup, exact: ObservedStage) -> BenchmarkRow:
    """The stage against one pass over what it must read: prompts, and answers as far as they are needed."""
    decoder, tasks = exact.decoder, exact.tasks
    llm = decoder.llm
    answers = [draft_steps(llm.build_grammar(task.text), task.draft, quiet=task.stop_mask) for task in tasks]
    feeds = [
        [*llm.prompt_tokens(task.examples, task.text), *(step.token for step in steps[:-1])]
        for task, steps in zip(tasks, answers, strict=True)
    ]

    def one_pass() -> None:
        with torch.inference_mode():
            for part in inference_batches([len(feed) for feed in feeds], decoder.batch_size):
                decoder.forward([feeds[i] for i in part], [()] * len(part))

    seconds = time_in_turns(what.config.bench.rounds, {"stage": partial(exact.stage, what.unit), "floor": one_pass})
    tokens = sum(map(len, feeds))
    remark = f"{len(feeds)} sentences, {tokens:,} tokens, {tokens / seconds['floor']:,.0f} a second"
    ratio = seconds["stage"] / seconds["floor"]
    return BenchmarkRow(
        "time of the LLM stage, exact", "one pass over its tokens", f"{ratio:.2f} times", "at most 1.3", remark
    )
