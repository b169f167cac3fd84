"""Compare the LLM stage with the published method in time, tokens and output.

A mode is a combination of gate (which sentences the LLM is asked about) and group size g (sentences that share
retrieved examples). In the exact mode, the gate skips the LLM where no answer could change the output, and g = 1.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from rayner.bench import peers
from rayner.bench.setup import BenchmarkSetup, ObservedStage, build_llm_stage, fused_spans, load_benchmark_gate
from rayner.bench.timing import (
    BenchmarkRow,
    build_speedup_row,
    find_fastest_batch_size,
    measure_median_seconds_in_turns,
)
from rayner.decoding.drafting import draft_answer_tokens
from rayner.modeling.batching import inference_batches

SPEEDUP_AIMS, TOKEN_AIMS = ("3", "10", "25"), ("1/2", "1/10", "1/25")  # for each mode, in order


class PublishedMethod:
    """The published method. The LLM is asked about every sentence, with examples retrieved for this sentence alone.

    Other software decodes the answers token by token.

    tokens: number of tokens in all prompts and answers.
    """

    def __init__(self, ungated: ObservedStage) -> None:
        self.llm, self.retriever, self.requests = ungated.engine.llm, ungated.stage.retriever, ungated.requests
        self.answer_lengths = [
            len(self.llm.build_grammar(request.text).spell_answer(request.draft)) for request in self.requests
        ]
        self.batch_size = find_fastest_batch_size(
            lambda size: peers.generate_with_transformers(
                self.llm, self.retrieve_and_build_prompts(), self.answer_lengths, size
            )
        )
        self.tokens = sum(map(len, self.retrieve_and_build_prompts())) + sum(self.answer_lengths)

    def run_transformers(self) -> None:
        """Retrieve examples, build the prompts, and generate with transformers."""
        peers.generate_with_transformers(
            self.llm, self.retrieve_and_build_prompts(), self.answer_lengths, self.batch_size
        )

    def run_vllm(self, process: peers.VllmProcess) -> None:
        """Retrieve examples, build the prompts, and generate with vLLM.

        vLLM received the same prompts when its process started, so the prompts built here only count for the time.
        """
        self.retrieve_and_build_prompts()
        process.time_generating_all()

    def retrieve_and_build_prompts(self) -> list[list[int]]:
        """Retrieve examples for each sentence and return the token ids of its prompt."""
        texts = [request.text for request in self.requests]
        examples = self.retriever.find_examples(texts)
        return [
            self.llm.prompt_tokens(shown, request.text, request.hint)
            for shown, request in zip(examples, self.requests, strict=True)
        ]


def measure_llm_stage(setup: BenchmarkSetup) -> list[BenchmarkRow]:
    """Compare the LLM stage in each mode with the published method, in time, tokens and output.

    The time is compared with the published method on its faster engine.
    """
    config, unit, modes, published = setup.config, setup.unit, setup.modes, PublishedMethod(setup.ungated)
    stages: dict[str, Callable[[], Any]] = {name: partial(mode.stage, unit) for name, mode in modes.items()}
    engines: dict[str, Callable[[], Any]] = {"transformers.generate": published.run_transformers}
    with peers.open_vllm(
        config.bench.vllm_python, published.llm, published.retrieve_and_build_prompts(), published.answer_lengths
    ) as vllm:
        if vllm:
            engines["vLLM"] = partial(published.run_vllm, vllm)
        seconds = measure_median_seconds_in_turns(config.bench.rounds, engines | stages)
    fastest, n = min(engines, key=lambda name: seconds[name]), len(unit.segments)
    engine_seconds = "; ".join(f"{name} {seconds[name]:.2f} s" for name in engines)
    speed_rows, token_rows, most_padding = [], [], 0.0
    for (name, mode), speed_aim, token_aim in zip(modes.items(), SPEEDUP_AIMS, TOKEN_AIMS, strict=True):
        remark = f"{seconds[name]:.3f} s; {engine_seconds}; {n} sentences"
        peer = f"published way, {fastest}"
        speed_rows.append(
            build_speedup_row(f"LLM stage, {name}", peer, seconds[fastest], seconds[name], speed_aim, remark)
        )
        tokens, padding = mode.cost.tokens, mode.cost.padding
        remark = f"{tokens / n:.1f} to {published.tokens / n:.1f}"
        ratio = f"1/{published.tokens / max(1, tokens):.1f}"
        token_rows.append(BenchmarkRow(f"LLM tokens a sentence, {name}", "published way", ratio, token_aim, remark))
        most_padding = max(most_padding, padding / max(1, padding + tokens))
    padding_row = BenchmarkRow(
        "padding, in the worst of these modes", "all tokens forwarded", f"{most_padding:.1%}", "under 10%"
    )
    exact = next(iter(modes.values()))
    return [
        *speed_rows,
        *token_rows,
        padding_row,
        _compare_exact_with_ungated_output(setup, exact),
        _compare_time_with_one_pass(setup, exact),
    ]


def _compare_exact_with_ungated_output(setup: BenchmarkSetup, exact: ObservedStage) -> BenchmarkRow:
    """Count the sentences whose fused entities are the same in the exact mode and without gate and drafts."""
    rule = load_benchmark_gate(setup.config, setup.run).rule
    plain_stage = build_llm_stage(setup.config, setup.run, None, use_drafts=False)
    pairs = zip(fused_spans(exact.segments, rule), fused_spans(plain_stage(setup.unit).segments, rule), strict=True)
    n_same = sum(spans == plain for spans, plain in pairs)
    passes = [segment.llm.passes for segment in exact.segments if segment.llm]
    remark = f"{len(passes)} asked, {statistics.mean(passes or [0]):.2f} passes each"
    count = f"{n_same} of {len(exact.segments)}"
    return BenchmarkRow("sentences fused alike, exact", "no gate, token by token", count, "all", remark)


def _compare_time_with_one_pass(setup: BenchmarkSetup, exact: ObservedStage) -> BenchmarkRow:
    """Compare the time of the stage with one forward pass over its prompts and the needed part of its answers."""
    engine, requests = exact.engine, exact.requests
    llm = engine.llm
    answers = [
        draft_answer_tokens(llm.build_grammar(each.text), each.draft, stop_mask=each.stop_mask) for each in requests
    ]
    inputs = [
        [*llm.prompt_tokens(request.examples, request.text, request.hint), *(step.token for step in steps[:-1])]
        for request, steps in zip(requests, answers, strict=True)
    ]

    def forward_once() -> None:
        with torch.inference_mode():
            for batch in inference_batches([len(tokens) for tokens in inputs], engine.batch_size):
                engine.run_decoder([inputs[i] for i in batch], [()] * len(batch))

    works: dict[str, Callable[[], Any]] = {"stage": partial(exact.stage, setup.unit), "one pass": forward_once}
    seconds = measure_median_seconds_in_turns(setup.config.bench.rounds, works)
    n_tokens = sum(map(len, inputs))
    remark = f"{len(inputs)} sentences, {n_tokens:,} tokens, {n_tokens / seconds['one pass']:,.0f} a second"
    ratio = f"{seconds['stage'] / seconds['one pass']:.2f} times"
    return BenchmarkRow("time of the LLM stage, exact", "one pass over its tokens", ratio, "at most 1.3", remark)
