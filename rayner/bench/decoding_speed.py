"""Compare the speed of decoding alone with other software, on the same prompts and answers of the same length."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rayner.bench import peers
from rayner.bench.setup import BenchmarkSetup
from rayner.bench.timing import (
    BenchmarkRow,
    build_speedup_row,
    find_fastest_batch_size,
    measure_median_seconds_in_turns,
)
from rayner.config.settings import Config
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.llm.model import Llm
from rayner.runs.run_folder import Run
from rayner.steps.llm_loading import load_llm
from rayner.text.predictions import LlmAnswer
from rayner.text.segmentation import bounds_without_whitespace
from rayner.text.spans import crop_spans

N_ONE_BY_ONE = 32  # sentences that are decoded one at a time
TRANSFORMERS = "transformers.generate"
AIMS = {TRANSFORMERS: "2", "vLLM": "1.5"}


def measure_decoding(setup: BenchmarkSetup) -> list[BenchmarkRow]:
    """Time decoding in two settings, and compare the answers in bfloat16 and float32.

    The two settings are: prompts with examples, decoded in batches; and prompts without examples, decoded one at a
    time. The drafts are the SLM's entities.
    """
    config, llm, answered = setup.config, setup.ungated.engine.llm, setup.ungated.requests
    answer_lengths = [len(llm.build_grammar(request.text).spell_answer(request.draft)) for request in answered]
    segments = [segment for segment in setup.unit.segments if segment.text.strip()]
    requests = [
        replace(request, draft=crop_spans(segment.slm.spans, *bounds_without_whitespace(segment.text)))
        for request, segment in zip(answered, segments, strict=True)
    ]
    without_examples = [replace(request, examples=()) for request in requests[:N_ONE_BY_ONE]]
    return [
        *_compare_batched_with_peers(config, llm, requests, answer_lengths),
        *_compare_one_by_one_with_transformers(config, llm, without_examples, answer_lengths[:N_ONE_BY_ONE]),
        _compare_answers_in_both_precisions(config, setup.run, llm, requests),
    ]


def _engine(config: Config, llm: Llm, batch_size: int) -> DraftVerifyEngine:
    return DraftVerifyEngine(
        llm,
        softmax_over=config.llm.softmax_over,
        batch_size=batch_size,
        batch_tokens=config.score.llm.batch_tokens,
    )


def _compare_batched_with_peers(
    config: Config, llm: Llm, requests: Sequence[WindowRequest], answer_lengths: Sequence[int]
) -> list[BenchmarkRow]:
    prompts = [llm.prompt_tokens(request.examples, request.text, request.hint) for request in requests]

    def draft_and_verify(batch_size: int) -> list[LlmAnswer]:
        return _engine(config, llm, batch_size).answer_requests(requests)

    def generate(batch_size: int) -> int:
        return peers.generate_with_transformers(llm, prompts, answer_lengths, batch_size)

    size, peer_size = find_fastest_batch_size(draft_and_verify), find_fastest_batch_size(generate)
    works: dict[str, Callable[[], Any]] = {TRANSFORMERS: partial(generate, peer_size)}
    with peers.open_vllm(config.bench.vllm_python, llm, prompts, answer_lengths) as vllm:
        if vllm:
            works["vLLM"] = vllm.time_generating_all
        seconds = measure_median_seconds_in_turns(
            config.bench.rounds, {"rayner": partial(draft_and_verify, size), **works}
        )
    remarks = {TRANSFORMERS: f"batches of {size} and {peer_size}", "vLLM": "its own batching, prefix caching on"}
    figure, n = "LLM sentences a second, with examples, best batch sizes", len(requests)
    rows = []
    for name in works:
        remark = f"{n / seconds['rayner']:.1f} to {n / seconds[name]:.1f}; {remarks[name]}"
        rows.append(build_speedup_row(figure, name, seconds[name], seconds["rayner"], AIMS[name], remark))
    return [*rows, _build_passes_row("with examples", draft_and_verify(size), answer_lengths)]


def _compare_one_by_one_with_transformers(
    config: Config, llm: Llm, requests: Sequence[WindowRequest], answer_lengths: Sequence[int]
) -> list[BenchmarkRow]:
    prompts, n = (
        [llm.prompt_tokens(request.examples, request.text, request.hint) for request in requests],
        len(requests),
    )
    engine = _engine(config, llm, 1)
    works: dict[str, Callable[[], Any]] = {
        "rayner": partial(engine.answer_requests, requests),
        TRANSFORMERS: lambda: peers.generate_with_transformers(llm, prompts, answer_lengths, 1),
    }
    seconds = measure_median_seconds_in_turns(config.bench.rounds, works)
    remark = f"{1e3 * seconds['rayner'] / n:.1f} ms to {1e3 * seconds[TRANSFORMERS] / n:.1f} ms a sentence"
    figure = "LLM sentences a second, without examples, one at a time"
    return [
        build_speedup_row(figure, TRANSFORMERS, seconds[TRANSFORMERS], seconds["rayner"], "8", remark),
        _build_passes_row("without examples", engine.answer_requests(requests), answer_lengths),
    ]


def _build_passes_row(prompts_label: str, answers: Sequence[LlmAnswer], answer_lengths: Sequence[int]) -> BenchmarkRow:
    passes = f"{statistics.mean(answer.passes for answer in answers):.2f}"
    remark = f"{statistics.mean(answer_lengths):.1f} tokens"
    return BenchmarkRow(
        f"forward passes a sentence, {prompts_label}", "tokens of the answer", passes, "at most 3.5", remark
    )


def _compare_answers_in_both_precisions(
    config: Config, run: Run, llm: Llm, requests: Sequence[WindowRequest]
) -> BenchmarkRow:
    """Count the answers that are equal in bfloat16 and float32.

    They can differ, because rounding can change which of two almost equally likely tokens comes first.
    """
    other_dtype = "float32" if config.llm.dtype == "bfloat16" else "bfloat16"
    models = (llm, load_llm(replace(config, llm=replace(config.llm, dtype=other_dtype)), run))
    answers, other_answers = (
        _engine(config, model, config.score.llm.batch_size).answer_requests(requests) for model in models
    )
    n_same = sum(answer.spans == other.spans for answer, other in zip(answers, other_answers, strict=True))
    count = f"{n_same} of {len(requests)}"
    return BenchmarkRow("LLM answers alike in bfloat16 and float32", "each other", count, "none")
