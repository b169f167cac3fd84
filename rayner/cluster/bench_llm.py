"""The LLM stage against the published way of running it, and its decoding against `transformers.generate`."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from rayner.cluster.measure import Line, best_size, turns
from rayner.cluster.stages import Gate, LlmStage, segments_of, unit_row
from rayner.config import Config
from rayner.models import peers
from rayner.models.batching import batches
from rayner.models.decode import Decoder, Task
from rayner.models.llm import Llm
from rayner.models.training import use_threads
from rayner.ner.budget import Budget
from rayner.ner.drafting import draft
from rayner.ner.fusion import fuse
from rayner.ner.gate import quiet
from rayner.ner.rule import Rule
from rayner.ner.scores import Scored
from rayner.ner.segment import core
from rayner.ner.spans import Span, within
from rayner.run import Run, read_json

PEER = "transformers.generate"
ALL_THREADS = 2**10  # as many as there are: a benchmark has the machine to itself


def gate_of(run: Run, **values: Any) -> Gate:  # noqa: ANN401 - the fields of Gate
    """The gate of a run's fusion rule."""
    fusion = read_json(run.path("fusion.json"))
    return Gate(Rule(**fusion["rule"]), Budget(**fusion["budget"]), **values)


def stage_of(config: Config, run: Run, gate: Gate | None, group: int = 1, *, draft: bool = True) -> LlmStage:
    """The LLM stage under other settings."""
    settings = replace(config, prompt=replace(config.prompt, group=group), score=replace(config.score, draft=draft))
    stage = LlmStage(settings, run, gate)
    use_threads(ALL_THREADS)
    return stage


def fused(item: Scored, rule: Rule) -> tuple[Span, ...]:
    """The fused entities of a segment."""
    return tuple(decision.span for decision in fuse(item.slm, item.llm, rule))


def asked(stage: LlmStage, row: dict[str, Any]) -> list[Task]:
    """What a stage asks the LLM, with the answers that it gets as drafts."""
    before, after = segments_of(row), segments_of(stage(row))
    pairs = [(a, b.llm.plain) for a, b in zip(before, after, strict=True) if b.llm is not None]
    cores = [core(item.text) for item, _ in pairs]
    shown = stage.retriever.examples([item.text[a:b] for (item, _), (a, b) in zip(pairs, cores, strict=True)])
    exact = stage.gate is not None and stage.gate.exact
    return [
        Task(
            item.text[start:end],
            near,
            within(spans, start, end),
            quiet(item.slm, stage.gate.rule)[start : end + 1] if exact and stage.gate else None,
        )
        for (item, spans), (start, end), near in zip(pairs, cores, shown, strict=True)
    ]


class Published:
    """The published way: every sentence, examples of its own, token by token, by `transformers.generate`."""

    def __init__(self, config: Config, run: Run, chapters: Sequence[Scored]) -> None:
        whole = stage_of(config, run, None)
        self.llm, self.retriever = whole.decoder.llm, whole.retriever
        self.tasks = asked(whole, unit_row("bench", chapters))
        self.lengths = [len(self.llm.copier(task.text).spell(task.spans)) for task in self.tasks]
        self.size = best_size(lambda size: peers.generate(self.llm, self.prompts(), self.lengths, size))
        self.tokens = sum(map(len, self.prompts())) + sum(self.lengths)

    def run(self) -> None:
        """Retrieve, write the prompts, generate."""
        peers.generate(self.llm, self.prompts(), self.lengths, self.size)

    def prompts(self) -> list[list[int]]:
        """Each sentence's prompt."""
        texts = [task.text for task in self.tasks]
        return [self.llm.prompt(near, text) for near, text in zip(self.retriever.examples(texts), texts, strict=True)]


def llm_stage(config: Config, run: Run, chapters: list[Scored]) -> list[Line]:
    """The whole stage, gate to stitched answers, in three modes, against the published way."""
    row, g, share = unit_row("bench", chapters), config.bench.group, config.bench.share
    stages = {
        "exact, g = 1": stage_of(config, run, gate_of(run)),
        f"exact gate, g = {g}": stage_of(config, run, gate_of(run), g),
        f"g = {g}, gate.share={share:g}": stage_of(config, run, gate_of(run, share=share), g),
    }
    peer = Published(config, run, chapters)
    works: dict[str, Callable[[], Any]] = {name: partial(stage, row) for name, stage in stages.items()}
    seconds = turns(config.bench.rounds, {"published": peer.run, **works})
    times, read = [], []
    for (name, stage), aim in zip(stages.items(), (("3", "1/2"), ("10", "1/10"), ("25", "1/25")), strict=True):
        remark = f"{seconds[name]:.3f} s to {seconds['published']:.3f} s, {len(chapters)} sentences"
        ratio = seconds["published"] / seconds[name]
        times.append(
            Line(f"LLM stage, {name}", f"published way, {PEER}", f"{ratio:.1f} times", f"{aim[0]} times", remark)
        )
        tokens = _tokens(stage, row)
        remark = f"{tokens / len(chapters):.1f} to {peer.tokens / len(chapters):.1f}"
        ratio = peer.tokens / max(1, tokens)
        read.append(Line(f"LLM tokens a sentence, {name}", "published way", f"1/{ratio:.1f}", aim[1], remark))
    exact = next(iter(stages.values()))
    return [*times, *read, _identical(config, run, exact, row), _floor(config, exact, row)]


def _tokens(stage: LlmStage, row: dict[str, Any]) -> int:
    """Tokens that a stage feeds its LLM, padding left out."""
    before = _drafting(stage).work.tokens
    stage(row)
    return _drafting(stage).work.tokens - before


def _drafting(stage: LlmStage) -> Decoder:
    if not isinstance(stage.decoder, Decoder):
        raise TypeError("this stage decodes token by token")
    return stage.decoder


def _identical(config: Config, run: Run, exact: LlmStage, row: dict[str, Any]) -> Line:
    """The fused output of the exact mode against that with everything off."""
    rule = gate_of(run).rule
    plain, ours = (segments_of(stage(row)) for stage in (stage_of(config, run, None, draft=False), exact))
    same = sum(fused(a, rule) == fused(b, rule) for a, b in zip(ours, plain, strict=True))
    passes = [item.llm.passes for item in ours if item.llm]
    remark = f"{len(passes)} asked, {statistics.mean(passes or [0]):.2f} passes each"
    return Line("sentences fused alike, exact", "no gate, token by token", f"{same} of {len(ours)}", "all", remark)


def _floor(config: Config, exact: LlmStage, row: dict[str, Any]) -> Line:
    """The stage against one pass over what it must read: prompts, and answers as far as they are needed."""
    decoder, tasks = _drafting(exact), asked(exact, row)
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

    seconds = turns(config.bench.rounds, {"stage": partial(exact, row), "floor": one_pass})
    remark = f"{len(feeds)} sentences, {statistics.mean(map(len, feeds)) if feeds else 0:.0f} tokens each"
    ratio = seconds["stage"] / seconds["floor"]
    return Line("time of the LLM stage, exact", "one pass over its tokens", f"{ratio:.2f} times", "at most 1.3", remark)


def decoding(config: Config, run: Run, chapters: list[Scored]) -> list[Line]:
    """Decoding alone: the same prompts and answers of every sentence, batched, and one at a time without examples."""
    whole = stage_of(config, run, None)
    llm, answered = whole.decoder.llm, asked(whole, unit_row("bench", chapters))
    lengths = [len(llm.copier(task.text).spell(task.spans)) for task in answered]
    written = [item for item in chapters if item.text.strip()]
    drafted = [
        replace(task, spans=within(item.slm.spans, *core(item.text)))
        for task, item in zip(answered, written, strict=True)
    ]
    bare = [replace(task, examples=()) for task in drafted[:32]]
    return [
        *_against_peer("with examples, best batch sizes", "2 times", config, llm, drafted, lengths),
        *_against_peer("without examples, one at a time", "8 times", config, llm, bare, lengths[:32], size=1),
    ]


def _against_peer(
    what: str,
    aim: str,
    config: Config,
    llm: Llm,
    tasks: Sequence[Task],
    lengths: Sequence[int],
    size: int | None = None,
) -> list[Line]:
    prompts = [llm.prompt(task.examples, task.text) for task in tasks]

    def ours(size: int) -> Any:  # noqa: ANN401 - what a timed work returns is dropped
        return Decoder(llm, probability=config.llm.probability, batch_size=size).answer(tasks)

    def theirs(size: int) -> Any:  # noqa: ANN401
        return peers.generate(llm, prompts, lengths, size)

    sizes = (size, size) if size else (best_size(ours), best_size(theirs))
    works: dict[str, Callable[[], Any]] = {"ours": partial(ours, sizes[0]), "theirs": partial(theirs, sizes[1])}
    vllm = peers.Vllm(config.bench.vllm, llm, prompts, lengths) if config.bench.vllm and not size else None
    seconds = turns(config.bench.rounds, works | ({"vllm": vllm.run} if vllm else {}))
    lines = []
    if vllm:
        vllm.close()
        ratio = seconds["vllm"] / seconds["ours"]
        remark = f"{len(tasks) / seconds['vllm']:.1f} a second there; its own batching, prefix caching on"
        lines.append(Line(f"LLM sentences a second, {what}", "vLLM on CPU", f"{ratio:.1f} times", "1.5 times", remark))
    remark = f"{len(tasks) / seconds['ours']:.1f} a second; batches of {sizes[0]} and {sizes[1]}"
    ratio = seconds["theirs"] / seconds["ours"]
    passes = statistics.mean(answer.passes for answer in ours(sizes[0]))
    return [
        *lines,
        Line(f"LLM sentences a second, {what}", PEER, f"{ratio:.1f} times", aim, remark),
        Line(f"forward passes a sentence, {what}", "tokens of the answer", f"{passes:.2f}", "at most 3.5",
             f"{statistics.mean(lengths):.1f} tokens"),
    ]  # fmt: skip
