"""Decoding alone against peers: the same prompts, the same answers."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rayner.bench import peers
from rayner.bench.llm_stage import BenchmarkSetup
from rayner.bench.timing import BenchmarkRow, fastest_batch_size, speedup_row, time_in_turns
from rayner.config.settings import Config
from rayner.decoding.draft_verify import DraftVerifyEngine, WindowRequest
from rayner.llm.model import Llm
from rayner.runs.run_folder import Run
from rayner.steps.loading import load_llm
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import crop_spans

_SINGLE = 32  # sentences that are decoded one at a time
PEER = "transformers.generate"


def measure_decoding(what: BenchmarkSetup) -> list[BenchmarkRow]:
    """Every sentence with examples, batched; a few without examples, one at a time; and in the other precision."""
    config, llm, answered = what.config, what.ungated.decoder.llm, what.ungated.tasks
    lengths = [len(llm.build_grammar(task.text).spell_answer(task.draft)) for task in answered]
    written = [item for item in what.unit.segments if item.text.strip()]
    drafted = [
        replace(task, draft=crop_spans(item.slm.spans, *bounds_without_whitespace(item.text)))
        for task, item in zip(answered, written, strict=True)
    ]
    bare, few = [replace(task, examples=()) for task in drafted[:_SINGLE]], lengths[:_SINGLE]
    return [
        *_compare_batched(config, llm, drafted, lengths),
        *_compare_one_by_one(config, llm, bare, few),
        _compare_precisions(config, what.run, llm, drafted),
    ]


def _compare_batched(
    config: Config, llm: Llm, tasks: Sequence[WindowRequest], lengths: Sequence[int]
) -> list[BenchmarkRow]:
    prompts = [llm.prompt_tokens(task.examples, task.text) for task in tasks]

    def ours(size: int) -> Any:  # noqa: ANN401 - what a timed work returns is dropped
        return DraftVerifyEngine(llm, softmax_over=config.llm.probability, batch_size=size).answer_requests(tasks)

    def theirs(size: int) -> Any:  # noqa: ANN401 - as above
        return peers.generate_with_transformers(llm, prompts, lengths, size)

    sizes = fastest_batch_size(ours), fastest_batch_size(theirs)
    works: dict[str, Callable[[], Any]] = {"ours": partial(ours, sizes[0]), PEER: partial(theirs, sizes[1])}
    with peers.open_vllm(config.bench.vllm, llm, prompts, lengths) as engine:
        if engine:
            works["vLLM"] = engine.generate_all
        seconds = time_in_turns(config.bench.rounds, works)
    remarks = {PEER: f"batches of {sizes[0]} and {sizes[1]}", "vLLM": "its own batching, prefix caching on"}
    figure, aims = "LLM sentences a second, with examples, best batch sizes", {PEER: "2", "vLLM": "1.5"}
    lines = []
    for name in [name for name in works if name != "ours"]:
        rates = f"{len(tasks) / seconds['ours']:.1f} to {len(tasks) / seconds[name]:.1f}; {remarks[name]}"
        lines.append(speedup_row(figure, name, seconds[name], seconds["ours"], aims[name], rates))
    return [*lines, _passes_row("with examples", ours(sizes[0]), lengths)]


def _compare_one_by_one(
    config: Config, llm: Llm, tasks: Sequence[WindowRequest], lengths: Sequence[int]
) -> list[BenchmarkRow]:
    prompts = [llm.prompt_tokens(task.examples, task.text) for task in tasks]
    decoder = DraftVerifyEngine(llm, softmax_over=config.llm.probability, batch_size=1)
    works: dict[str, Callable[[], Any]] = {
        "ours": partial(decoder.answer_requests, tasks),
        PEER: lambda: peers.generate_with_transformers(llm, prompts, lengths, 1),
    }
    seconds = time_in_turns(config.bench.rounds, works)
    remark = f"{1e3 * seconds['ours'] / len(tasks):.1f} ms to {1e3 * seconds[PEER] / len(tasks):.1f} ms a sentence"
    figure = "LLM sentences a second, without examples, one at a time"
    return [
        speedup_row(figure, PEER, seconds[PEER], seconds["ours"], "8", remark),
        _passes_row("without examples", decoder.answer_requests(tasks), lengths),
    ]


def _passes_row(what: str, answers: Sequence[Any], lengths: Sequence[int]) -> BenchmarkRow:
    passes, tokens = statistics.mean(answer.passes for answer in answers), statistics.mean(lengths)
    return BenchmarkRow(f"forward passes a sentence, {what}", "tokens of the answer", f"{passes:.2f}", "at most 3.5",
                f"{tokens:.1f} tokens")  # fmt: skip


def _compare_precisions(config: Config, run: Run, llm: Llm, tasks: Sequence[WindowRequest]) -> BenchmarkRow:
    """The answers in bfloat16 against those in float32: two orders of summation can flip a near tie."""
    other = "float32" if config.dtype == "bfloat16" else "bfloat16"
    twin = load_llm(replace(config, dtype=other), run)
    size = config.score.llm.batch_size
    ours, theirs = (
        DraftVerifyEngine(m, softmax_over=config.llm.probability, batch_size=size).answer_requests(tasks)
        for m in (llm, twin)
    )
    same = sum(a.spans == b.spans for a, b in zip(ours, theirs, strict=True))
    return BenchmarkRow("LLM answers alike in bfloat16 and float32", "each other", f"{same} of {len(tasks)}", "told")
