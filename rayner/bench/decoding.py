"""Decoding alone against peers: the same prompts, the same answers."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rayner.bench import peers
from rayner.bench.llm_stage import Setup
from rayner.bench.measure import Line, best_size, compared, turns
from rayner.config.settings import Config
from rayner.decoding.draft_verify import Decoder, Task
from rayner.llm.model import Llm
from rayner.runs.run_folder import Run
from rayner.steps.loading import load_llm
from rayner.text.segmentation import core
from rayner.text.spans import within

_SINGLE = 32  # sentences that are decoded one at a time
PEER = "transformers.generate"


def decoding(what: Setup) -> list[Line]:
    """Every sentence with examples, batched; a few without examples, one at a time; and in the other precision."""
    config, llm, answered = what.config, what.whole.decoder.llm, what.whole.asked
    lengths = [len(llm.copier(task.text).spell(task.spans)) for task in answered]
    written = [item for item in what.unit.segments if item.text.strip()]
    drafted = [
        replace(task, spans=within(item.slm.spans, *core(item.text)))
        for task, item in zip(answered, written, strict=True)
    ]
    bare, few = [replace(task, examples=()) for task in drafted[:_SINGLE]], lengths[:_SINGLE]
    return [
        *_batched(config, llm, drafted, lengths),
        *_one_by_one(config, llm, bare, few),
        _other_precision(config, what.run, llm, drafted),
    ]


def _batched(config: Config, llm: Llm, tasks: Sequence[Task], lengths: Sequence[int]) -> list[Line]:
    prompts = [llm.prompt(task.examples, task.text) for task in tasks]

    def ours(size: int) -> Any:  # noqa: ANN401 - what a timed work returns is dropped
        return Decoder(llm, probability=config.llm.probability, batch_size=size).answer(tasks)

    def theirs(size: int) -> Any:  # noqa: ANN401 - as above
        return peers.generate(llm, prompts, lengths, size)

    sizes = best_size(ours), best_size(theirs)
    works: dict[str, Callable[[], Any]] = {"ours": partial(ours, sizes[0]), PEER: partial(theirs, sizes[1])}
    with peers.vllm(config.bench.vllm, llm, prompts, lengths) as engine:
        if engine:
            works["vLLM"] = engine.run
        seconds = turns(config.bench.rounds, works)
    remarks = {PEER: f"batches of {sizes[0]} and {sizes[1]}", "vLLM": "its own batching, prefix caching on"}
    figure, aims = "LLM sentences a second, with examples, best batch sizes", {PEER: "2", "vLLM": "1.5"}
    lines = []
    for name in [name for name in works if name != "ours"]:
        rates = f"{len(tasks) / seconds['ours']:.1f} to {len(tasks) / seconds[name]:.1f}; {remarks[name]}"
        lines.append(compared(figure, name, seconds[name], seconds["ours"], aims[name], rates))
    return [*lines, _passes("with examples", ours(sizes[0]), lengths)]


def _one_by_one(config: Config, llm: Llm, tasks: Sequence[Task], lengths: Sequence[int]) -> list[Line]:
    prompts = [llm.prompt(task.examples, task.text) for task in tasks]
    decoder = Decoder(llm, probability=config.llm.probability, batch_size=1)
    works: dict[str, Callable[[], Any]] = {
        "ours": partial(decoder.answer, tasks),
        PEER: lambda: peers.generate(llm, prompts, lengths, 1),
    }
    seconds = turns(config.bench.rounds, works)
    remark = f"{1e3 * seconds['ours'] / len(tasks):.1f} ms to {1e3 * seconds[PEER] / len(tasks):.1f} ms a sentence"
    figure = "LLM sentences a second, without examples, one at a time"
    return [
        compared(figure, PEER, seconds[PEER], seconds["ours"], "8", remark),
        _passes("without examples", decoder.answer(tasks), lengths),
    ]


def _passes(what: str, answers: Sequence[Any], lengths: Sequence[int]) -> Line:
    passes, tokens = statistics.mean(answer.passes for answer in answers), statistics.mean(lengths)
    return Line(f"forward passes a sentence, {what}", "tokens of the answer", f"{passes:.2f}", "at most 3.5",
                f"{tokens:.1f} tokens")  # fmt: skip


def _other_precision(config: Config, run: Run, llm: Llm, tasks: Sequence[Task]) -> Line:
    """The answers in bfloat16 against those in float32: two orders of summation can flip a near tie."""
    other = "float32" if config.dtype == "bfloat16" else "bfloat16"
    twin = load_llm(replace(config, dtype=other), run)
    size = config.score.llm.batch_size
    ours, theirs = (Decoder(m, probability=config.llm.probability, batch_size=size).answer(tasks) for m in (llm, twin))
    same = sum(a.plain == b.plain for a, b in zip(ours, theirs, strict=True))
    return Line("LLM answers alike in bfloat16 and float32", "each other", f"{same} of {len(tasks)}", "told")
