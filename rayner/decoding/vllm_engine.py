"""The engine `engine=vllm`: the answers of greedy decoding, token by token, with vLLM's batching and caches.

The tag grammar runs inside vLLM as a logits processor that keeps only the allowed tokens. Both values of `softmax_over`
are exact: vLLM can read probabilities before logits processors (`raw_logprobs`, over the whole vocabulary) or after
them (`processed_logprobs`, over the allowed tokens).

Drafts are ignored, because vLLM accepts no drafts from outside. It also refuses logits processors together with its own
speculative decoding (docs/decisions.md).
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from vllm import LLM, SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from rayner.decoding.engine import WindowRequest
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.llm.model import Llm
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
    """An `AnswerEngine` that uses vLLM.

    It writes the model, with its adapter merged, to a temporary checkpoint folder for vLLM and removes it from `llm`.
    softmax_over: see `make_engine`. batch_size: the largest number of texts that vLLM runs at once.
    """

    def __init__(self, llm: Llm, *, softmax_over: str, batch_size: int) -> None:
        # Run in this process, for which Ray reserved resources, and with the model runner that takes these processors.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
        self.llm = llm
        self.stop_token: int = llm.tokenizer.tokenizer.eos_token_id
        dtype = str(llm.model.dtype).removeprefix("torch.")
        with tempfile.TemporaryDirectory() as folder:
            llm.model.save_pretrained(folder)
            llm.model = None
            self.vllm = LLM(
                model=folder,
                skip_tokenizer_init=True,
                dtype=dtype,
                enforce_eager=llm.device.type == "cpu",
                enable_prefix_caching=True,
                max_num_seqs=batch_size,
                logprobs_mode="processed_logprobs" if softmax_over == "allowed" else "raw_logprobs",
                logits_processors=[_PROCESSOR],
                async_scheduling=False,  # the grammar needs every token before the next is chosen
            )

    def with_smaller_batches(self, divisor: int) -> "VllmEngine":
        """Return the engine itself: vLLM divides its memory among the requests."""
        return self

    def answer_requests(self, requests: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """Return the LLM's answer to each request, in the order of the requests.

        `LlmAnswer.passes` is the number of tokens that vLLM generated.
        """
        grammars = [self.llm.build_grammar(request.text) for request in requests]
        prompts = [{"prompt_token_ids": self.llm.prompt_tokens(request.examples, request.text)} for request in requests]
        params = [self._sampling_params(request, grammar) for request, grammar in zip(requests, grammars, strict=True)]
        outputs = self.vllm.generate(prompts, params, use_tqdm=False) if requests else []
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
