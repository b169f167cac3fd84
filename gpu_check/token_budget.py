"""Score within two budgets of tokens (`score.llm.batch_tokens`), and compare what is in memory with each budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_llm
from gpu_check.made_texts import make_requests
from gpu_check.memory import read_memory, read_peak_memory, require_room, reset_peak_memory
from gpu_check.records import Findings
from gpu_check.scoring import compare_choices, measure_logit_gap, require_near_ties
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.kv_cache import count_cached_numbers_per_token
from rayner.llm.model import Llm
from rayner.text.predictions import LlmAnswer

_BYTES = 2  # of a number in bfloat16
_OTHER_BYTES = 2**30  # chunks of logits, masks, and what the device's libraries take
_SMALLER = 4  # the second budget is one part in so many of the first


@dataclass
class PassSizes:
    """The largest forward pass so far. tokens: its new and cached tokens; new_tokens: its new tokens alone."""

    tokens: int = 0
    new_tokens: int = 0


def check_token_budget(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Require that passes, and on a GPU the memory, stay within each budget, and that the answers are the same."""
    shape = setup.size.decoders[shape_name]
    require_room(setup, "score", llm=shape)
    llm = make_llm(shape, setup.device, "bfloat16")
    budgets = (setup.size.batch_tokens, setup.size.batch_tokens // _SMALLER)
    requests = make_requests(setup.size.requests, seed=19)
    answers, smaller_answers = (_score_within(setup, findings, llm, requests, budget) for budget in budgets)
    comparison = compare_choices(llm, requests, answers, smaller_answers)
    findings.note("different_answers", len(comparison.turned))
    require_near_ties(findings, [measure_logit_gap(llm, turned) for turned in comparison.turned], "the other budget's")


def _score_within(
    setup: CheckSetup, findings: Findings, llm: Llm, requests: Sequence[WindowRequest], budget: int
) -> list[LlmAnswer]:
    """Score all requests within a budget, and note what was in memory."""
    before = read_memory(setup.device)
    reset_peak_memory(setup.device)
    config = setup.config
    engine = DraftVerifyEngine(
        llm,
        softmax_over=config.llm.softmax_over,
        batch_size=config.score.llm.batch_size,
        batch_tokens=budget,
    )
    with _measured_passes(llm) as largest:
        answers = engine.answer_requests(requests)
    findings.note(f"largest_pass_of_{budget}", largest.tokens)
    findings.require(
        largest.tokens <= budget, f"expected at most {budget} tokens in a forward pass, found {largest.tokens}"
    )
    findings.require(
        engine.cost.oversized == 0, f"{engine.cost.oversized} texts needed more than {budget} tokens: nothing was shown"
    )
    if setup.device.type == "cuda":
        grown = read_peak_memory(setup.device) - before
        cache_bytes = _BYTES * budget * count_cached_numbers_per_token(llm.model.config)
        sizes = llm.model.config
        layer_bytes = _BYTES * largest.new_tokens * (10 * sizes.hidden_size + 3 * sizes.intermediate_size)
        limit = cache_bytes + layer_bytes + _OTHER_BYTES
        findings.note(f"peak_bytes_of_{budget}", grown)
        findings.note(f"cache_bytes_of_{budget}", cache_bytes)
        findings.require(grown <= limit, f"{budget} tokens: expected at most {limit:,} bytes, found {grown:,}")
    return answers


@contextmanager
def _measured_passes(llm: Llm) -> Iterator[PassSizes]:
    """Yield the size of the largest forward pass, which grows while the block runs."""
    largest = PassSizes()

    def measure(_module: Any, _arguments: Any, options: dict[str, Any]) -> None:  # noqa: ANN401 - as torch passes them
        rows, new = options["input_ids"].shape
        cached = options["past_key_values"].get_seq_length()
        largest.tokens = max(largest.tokens, rows * (cached + new))
        largest.new_tokens = max(largest.new_tokens, rows * new)

    handle = llm.model.get_decoder().register_forward_pre_hook(measure, with_kwargs=True)
    try:
        yield largest
    finally:
        handle.remove()
