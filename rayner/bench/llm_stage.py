"""The LLM stage against the published way of running it: time, tokens, and what comes out."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from rayner.bench import peers
from rayner.bench.measure import Line, best_size, compared, turns
from rayner.config.settings import Config
from rayner.decoding.draft_verify import Decoder, Task, Work
from rayner.decoding.drafting import draft
from rayner.fusion.budget import Budget, fit
from rayner.fusion.deciding import AnyRule, decide
from rayner.fusion.region_rule import Rule
from rayner.modeling.batching import batches
from rayner.runs.run_folder import Run, read_json
from rayner.steps import score
from rayner.steps.tag.stages import Gate, LlmStage, LoadedUnit
from rayner.text.predictions import Scored
from rayner.text.segmentation import core
from rayner.text.spans import Span, within

ALL_THREADS = 2**10  # as many as there are: a benchmark has the machine to itself


def gate_of(config: Config, run: Run, **values: Any) -> Gate:  # noqa: ANN401 - the fields of Gate
    """The gate of a run's rule by regions, or of the same rule with `bench.weight` for its lambda."""
    fusion = read_json(run.path("fusion.json"))
    rule, budget = Rule(**fusion["rule"]), Budget(**fusion["budget"])
    if config.bench.weight is not None:
        rule = replace(rule, weight=config.bench.weight)
    if config.bench.weight is not None or fusion["chosen"] != "regions":
        budget = fit(score.read(run, "dev"), rule)
    return Gate(rule, budget, **values)


def stage_of(config: Config, run: Run, gate: Gate | None, group: int = 1, *, draft: bool = True) -> LlmStage:
    """The LLM stage under other settings."""
    settings = replace(config, prompt=replace(config.prompt, group=group), score=replace(config.score, draft=draft))
    return LlmStage(settings, run, gate)


@dataclass(frozen=True)
class Observed:
    """The LLM stage run in one way, and what was seen when it met the unit that is measured.

    after: the segments with its answers; asked: what the LLM was asked, these answers for drafts; work: what it cost.
    """

    stage: LlmStage
    decoder: Decoder
    after: Sequence[Scored]
    asked: Sequence[Task]
    work: Work


def observed(stage: LlmStage, unit: LoadedUnit) -> Observed:
    """A stage that drafts, run once over a unit."""
    if not isinstance(stage.decoder, Decoder):
        raise TypeError("this stage decodes token by token")
    before = replace(stage.decoder.work)
    after, work = stage(unit).segments, stage.decoder.work
    spent = Work(work.batches - before.batches, work.tokens - before.tokens, work.padding - before.padding)
    answered = [(item, core(item.text), item.llm.plain) for item in after if item.llm is not None]
    questions = [stage.question(item, place) for item, place, _ in answered]
    shown = stage.retriever.examples([question.text for question in questions])
    asked = [
        Task(question.text, near, within(spans, *place), question.quiet)
        for question, near, (_, place, spans) in zip(questions, shown, answered, strict=True)
    ]
    return Observed(stage, stage.decoder, after, asked, spent)


@dataclass(frozen=True)
class Setup:
    """What is measured: a unit of sentences, scored by the small model, and the LLM stage over it.

    whole: asked about every sentence, g = 1; modes: exact, with shared examples, with a budget too.
    """

    config: Config
    run: Run
    unit: LoadedUnit
    whole: Observed
    modes: dict[str, Observed]


def setup(config: Config, run: Run, unit: LoadedUnit) -> Setup:
    """Load everything once, and see what each mode does."""
    g, share = config.bench.group, config.bench.share
    modes = {
        "exact, g = 1": stage_of(config, run, gate_of(config, run)),
        f"exact gate, g = {g}": stage_of(config, run, gate_of(config, run), g),
        f"g = {g}, gate.share={share:g}": stage_of(config, run, gate_of(config, run, share=share), g),
    }
    whole = observed(stage_of(config, run, None), unit)
    return Setup(config, run, unit, whole, {name: observed(stage, unit) for name, stage in modes.items()})


def fused(item: Scored, rule: AnyRule) -> tuple[Span, ...]:
    """The fused entities of a segment."""
    return tuple(decision.span for decision in decide(item, rule))


class Published:
    """The published way: every sentence, examples of its own, token by token, by a peer engine."""

    def __init__(self, whole: Observed) -> None:
        self.llm, self.retriever, self.tasks = whole.decoder.llm, whole.stage.retriever, whole.asked
        self.lengths = [len(self.llm.copier(task.text).spell(task.spans)) for task in self.tasks]
        self.size = best_size(lambda size: peers.generate(self.llm, self.prompts(), self.lengths, size))
        self.tokens = sum(map(len, self.prompts())) + sum(self.lengths)

    def generated(self) -> None:
        """Retrieve, write the prompts, generate by transformers."""
        peers.generate(self.llm, self.prompts(), self.lengths, self.size)

    def by_vllm(self, engine: peers.Vllm) -> None:
        """The same by vLLM, which was given these prompts before."""
        self.prompts()
        engine.run()

    def prompts(self) -> list[list[int]]:
        """Each sentence's prompt."""
        texts = [task.text for task in self.tasks]
        return [self.llm.prompt(near, text) for near, text in zip(self.retriever.examples(texts), texts, strict=True)]


def llm_stage(what: Setup) -> list[Line]:
    """The whole stage, gate to stitched answers, in three modes, against the published way on the faster engine."""
    config, unit, modes, peer = what.config, what.unit, what.modes, Published(what.whole)
    works: dict[str, Callable[[], Any]] = {name: partial(mode.stage, unit) for name, mode in modes.items()}
    theirs: dict[str, Callable[[], Any]] = {"transformers.generate": peer.generated}
    with peers.vllm(config.bench.vllm, peer.llm, peer.prompts(), peer.lengths) as engine:
        if engine:
            theirs["vLLM"] = partial(peer.by_vllm, engine)
        seconds = turns(config.bench.rounds, theirs | works)
    best, n = min(theirs, key=lambda name: seconds[name]), len(unit.segments)
    others = "; ".join(f"{name} {seconds[name]:.2f} s" for name in theirs)
    times, read, padded = [], [], 0.0
    for (name, mode), aim in zip(modes.items(), (("3", "1/2"), ("10", "1/10"), ("25", "1/25")), strict=True):
        remark = f"{seconds[name]:.3f} s; {others}; {n} sentences"
        times.append(
            compared(f"LLM stage, {name}", f"published way, {best}", seconds[best], seconds[name], aim[0], remark)
        )
        work = mode.work
        remark = f"{work.tokens / n:.1f} to {peer.tokens / n:.1f}"
        ratio = peer.tokens / max(1, work.tokens)
        read.append(Line(f"LLM tokens a sentence, {name}", "published way", f"1/{ratio:.1f}", aim[1], remark))
        padded = max(padded, work.padding / max(1, work.padding + work.tokens))
    padding = Line("padding, in the worst of these modes", "all tokens forwarded", f"{padded:.1%}", "under 10%")
    exact = next(iter(modes.values()))
    return [*times, *read, padding, _identical(what, exact), _floor(what, exact)]


def _identical(what: Setup, exact: Observed) -> Line:
    """The fused output of the exact mode against that with everything off."""
    rule = gate_of(what.config, what.run).rule
    plain, ours = stage_of(what.config, what.run, None, draft=False)(what.unit).segments, exact.after
    same = sum(fused(a, rule) == fused(b, rule) for a, b in zip(ours, plain, strict=True))
    passes = [item.llm.passes for item in ours if item.llm]
    remark = f"{len(passes)} asked, {statistics.mean(passes or [0]):.2f} passes each"
    return Line("sentences fused alike, exact", "no gate, token by token", f"{same} of {len(ours)}", "all", remark)


def _floor(what: Setup, exact: Observed) -> Line:
    """The stage against one pass over what it must read: prompts, and answers as far as they are needed."""
    decoder, tasks = exact.decoder, exact.asked
    llm = decoder.llm
    answers = [draft(llm.copier(task.text), task.spans, quiet=task.quiet) for task in tasks]
    feeds = [
        [*llm.prompt(task.examples, task.text), *(step.token for step in steps[:-1])]
        for task, steps in zip(tasks, answers, strict=True)
    ]

    def one_pass() -> None:
        with torch.inference_mode():
            for part in batches([len(feed) for feed in feeds], decoder.batch_size):
                decoder.forward([feeds[i] for i in part], [()] * len(part))

    seconds = turns(what.config.bench.rounds, {"stage": partial(exact.stage, what.unit), "floor": one_pass})
    tokens = sum(map(len, feeds))
    remark = f"{len(feeds)} sentences, {tokens:,} tokens, {tokens / seconds['floor']:,.0f} a second"
    ratio = seconds["stage"] / seconds["floor"]
    return Line("time of the LLM stage, exact", "one pass over its tokens", f"{ratio:.2f} times", "at most 1.3", remark)
