"""The engine `engine=vllm`: the answers of greedy decoding, token by token, with vLLM's batching and caches.

The tag grammar runs inside vLLM as a logits processor that keeps only the allowed tokens. Both values of `softmax_over`
are exact: vLLM can read probabilities before logits processors (`raw_logprobs`, over the whole vocabulary) or after
them (`processed_logprobs`, over the allowed tokens).

Drafts are ignored, because vLLM accepts no drafts from outside. It also refuses logits processors together with its own
speculative decoding (docs/decisions.md).
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from vllm import LLM, SamplingParams
from vllm.config.lora import MaxLoRARanks
from vllm.lora.request import LoRARequest
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from rayner.config.vllm_settings import VllmConfig
from rayner.decoding.engine import WindowRequest
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.llm.prompt_encoder import PromptEncoder
from rayner.modeling.checkpoint import reject_pickles_and_build_kwargs
from rayner.runs.heartbeat import beat
from rayner.text.predictions import LlmAnswer
from rayner.text.tag_grammar import TagGrammar, TagSpelling

_REQUEST_KEY = "rayner"  # key of the grammar in the extra arguments of a request
_PROCESSOR = f"{__name__}:GrammarLogitsProcessor"


def _make_logits_masker(request_fields: dict[str, Any]) -> Callable[[list[int], torch.Tensor], torch.Tensor]:
    """Return the function that masks the logits of a request.

    It keeps only the allowed tokens, or only the stop token once the answer is complete.
    request_fields: the fields that `VllmEngine._sampling_params` put into the request.
    """
    tags = request_fields["tags"]
    types = {type_: tuple(tokens) for type_, tokens in tags["types"].items()}
    spelling = TagSpelling(tuple(tags["open"]), tuple(tags["close"]), tuple(tags["end"]), types)
    grammar = TagGrammar([tuple(tokens) for tokens in request_fields["chars"]], spelling)
    stop_mask = None if request_fields["stop_mask"] is None else np.array(request_fields["stop_mask"], dtype=bool)
    matcher = GrammarMatcher(grammar, stop_mask)

    def mask_logits(answer: list[int], logits: torch.Tensor) -> torch.Tensor:
        beat()
        ids = torch.tensor(matcher.allowed_tokens(answer) or (request_fields["stop_token"],), device=logits.device)
        masked = torch.full_like(logits, float("-inf"))
        masked[ids] = logits[ids]
        return masked

    return mask_logits


class GrammarLogitsProcessor(AdapterLogitsProcessor):  # type: ignore[misc]  # vllm is not installed where types are checked
    """The logits processor. vLLM makes one instance and calls it for each request."""

    def is_argmax_invariant(self) -> bool:
        """Return False, because the mask changes which token is the most likely."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Callable[..., torch.Tensor] | None:
        """Return the mask of a request with a grammar; None for other requests, such as vLLM's own warm-up."""
        fields = (params.extra_args or {}).get(_REQUEST_KEY)
        return _make_logits_masker(fields) if fields else None


class VllmEngine:
    """An `AnswerEngine` that uses vLLM. vLLM reads the weights itself and adds a LoRA adapter to each pass.

    Args:
        encoder: The encoder of the prompts.
        base: The checkpoint folder or hub name of the LLM.
        adapter: The folder of the LoRA adapter; None for no adapter.
        config: The settings `llm.vllm`.
        dtype: `float32` or `bfloat16`.
        device: The device of this process.
        softmax_over: See `make_engine`.
        batch_size: The largest number of texts that vLLM runs at once.

    """

    def __init__(
        self,
        encoder: PromptEncoder,
        base: str | Path,
        adapter: Path | None,
        *,
        config: VllmConfig,
        dtype: str,
        device: torch.device,
        softmax_over: str,
        batch_size: int,
    ) -> None:
        # Run in this process, for which Ray reserved resources, and with the model runner that takes these processors.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
        reject_pickles_and_build_kwargs(base)  # vLLM takes no such arguments; it is told to read safetensors
        self.encoder = encoder
        self.stop_token: int = encoder.tokenizer.tokenizer.eos_token_id
        self.lora_request = None if adapter is None else LoRARequest("adapter", 1, str(adapter))
        self.vllm = LLM(
            model=str(base),
            load_format="safetensors",
            skip_tokenizer_init=True,
            dtype=dtype,
            enforce_eager=device.type == "cpu",
            enable_prefix_caching=True,
            max_num_seqs=batch_size,
            max_model_len=config.max_tokens or None,
            tensor_parallel_size=config.tensor_parallel,
            gpu_memory_utilization=config.memory_share,
            logprobs_mode="processed_logprobs" if softmax_over == "allowed" else "raw_logprobs",
            logits_processors=[_PROCESSOR],
            async_scheduling=False,  # the grammar needs every token before the next is chosen
            **({} if adapter is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": _lora_rank(adapter)}),
        )

    def with_smaller_batches(self, divisor: int) -> "VllmEngine":
        """Return the engine itself: vLLM reserves its memory when it starts and divides it among the requests."""
        return self

    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests.

        `LlmAnswer.passes` is the number of tokens that vLLM generated.
        """
        grammars = [self.encoder.build_grammar(request.text) for request in requests]
        prompts = [
            {"prompt_token_ids": self.encoder.prompt_tokens(request.examples, request.text, request.hint)}
            for request in requests
        ]
        params = [self._sampling_params(request, grammar) for request, grammar in zip(requests, grammars, strict=True)]
        outputs = (
            self.vllm.generate(prompts, params, use_tqdm=False, lora_request=self.lora_request) if requests else []
        )
        return [
            _read_answer(grammar, request, output.outputs[0], self.stop_token)
            for grammar, request, output in zip(grammars, requests, outputs, strict=True)
        ]

    def _sampling_params(self, request: WindowRequest, grammar: TagGrammar) -> SamplingParams:
        spelling = grammar.spelling
        type_tokens = {type_: [*tokens] for type_, tokens in spelling.types.items()}
        fields = {
            "chars": [[*tokens] for tokens in grammar.char_tokens],
            "tags": {
                "open": [*spelling.open], "close": [*spelling.close], "end": [*spelling.end], "types": type_tokens
            },
            "stop_mask": None if request.stop_mask is None else request.stop_mask.tolist(),
            "stop_token": self.stop_token,
        }  # fmt: skip
        return SamplingParams(
            temperature=0.0,
            logprobs=0,
            max_tokens=grammar.max_answer_tokens() + 1,  # and the stop token
            stop_token_ids=[self.stop_token],
            detokenize=False,
            extra_args={_REQUEST_KEY: fields},
        )


def _lora_rank(adapter: Path) -> int:
    """Return the smallest rank that vLLM offers and that holds an adapter."""
    reject_pickles_and_build_kwargs(adapter)
    rank = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    ranks: tuple[int, ...] = get_args(MaxLoRARanks)
    return min(offered for offered in ranks if offered >= rank)


def _read_answer(
    grammar: TagGrammar,
    request: WindowRequest,
    output: Any,  # noqa: ANN401 - vLLM's completion
    stop_token: int,
) -> LlmAnswer:
    tokens = [*output.token_ids]
    log_probs = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    if tokens and tokens[-1] == stop_token:
        del tokens[-1], log_probs[-1]
    # If only one token is allowed, its probability is 1; rounding may give slightly more.
    probs = [min(1.0, float(np.exp(log_prob))) for log_prob in log_probs]
    return grammar.read_answer(tokens, probs, len(output.token_ids), partial=request.stop_mask is not None)
