"""vLLM as the engine (`llm.engine=vllm`): the reference's answers, token by token, by vLLM's batching and caches.

The automaton runs inside vLLM as a logits processor, which leaves it no token but the allowed ones. vLLM reads
probabilities before processors (`raw_logprobs`: the unmasked softmax) or after them (`processed_logprobs`: over the
allowed tokens), so both values of `llm.softmax_over` are exact. Drafts are not looked at: vLLM takes none from
outside and refuses logits processors beside its own speculative decoding (docs/decisions.md).
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from vllm import LLM, SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from rayner.decoding.draft_verify import WindowRequest
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.llm.model import Llm
from rayner.text.predictions import LlmAnswer
from rayner.text.tag_grammar import TagGrammar, TagSpelling

_KEY = "rayner"  # of the texts in the requests' extra arguments
_MODES = {"all": "raw_logprobs", "allowed": "processed_logprobs"}
_PROCESSOR = f"{__name__}:Automaton"


def _make_logits_mask(asked: dict[str, Any]) -> Callable[[list[int], torch.Tensor], torch.Tensor]:
    """What masks the logits of one request: everything but the allowed tokens, or but `stop` once it is answered."""
    tags = asked["tags"]
    types = {kind: tuple(tokens) for kind, tokens in tags["types"].items()}
    spelling = TagSpelling(tuple(tags["open"]), tuple(tags["close"]), tuple(tags["end"]), types)
    copier = TagGrammar([tuple(tokens) for tokens in asked["chars"]], spelling)
    follower = GrammarMatcher(copier, None if asked["quiet"] is None else np.array(asked["quiet"], dtype=bool))

    def masked(output: list[int], logits: torch.Tensor) -> torch.Tensor:
        ids = torch.tensor(follower.allowed_tokens(output) or (asked["stop"],), device=logits.device)
        left = torch.full_like(logits, float("-inf"))
        left[ids] = logits[ids]
        return left

    return masked


class GrammarLogitsProcessor(AdapterLogitsProcessor):  # type: ignore[misc]  # vllm is not installed where types are checked
    """What vLLM makes one of, and asks for the mask of each request."""

    def is_argmax_invariant(self) -> bool:
        """No: this is what it is for."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Callable[..., torch.Tensor] | None:
        """The mask of a request of ours; none for any other, such as vLLM's own warm-up."""
        asked = (params.extra_args or {}).get(_KEY)
        return _make_logits_mask(asked) if asked else None


class VllmEngine:
    """The interface of `decode.Decoder`, answered by vLLM.

    The model is handed over as a checkpoint folder, adapter merged, and freed here.
    probability: as in `DraftVerifyEngine`. batch_size: texts that vLLM runs at once, at most.
    """

    def __init__(self, llm: Llm, *, probability: str, batch_size: int) -> None:
        # In this process, whose resources Ray has counted; and with the runner that takes these processors.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
        self.llm = llm
        self.stop: int = llm.tokenizer.tokenizer.eos_token_id
        dtype = str(llm.model.dtype).removeprefix("torch.")
        with tempfile.TemporaryDirectory() as folder:
            llm.model.save_pretrained(folder)
            llm.model = None
            self.engine = LLM(
                model=folder,
                skip_tokenizer_init=True,
                dtype=dtype,
                enforce_eager=llm.device.type == "cpu",
                enable_prefix_caching=True,
                max_num_seqs=batch_size,
                logprobs_mode=_MODES[probability],
                logits_processors=[_PROCESSOR],
                async_scheduling=False,  # the automaton needs every token before the next is chosen
            )

    def answer_requests(self, tasks: Sequence[WindowRequest]) -> list[LlmAnswer]:
        """The LLM's answer to each task, in their order; `passes` are its tokens."""
        copiers = [self.llm.build_grammar(task.text) for task in tasks]
        prompts = [{"prompt_token_ids": self.llm.prompt_tokens(task.examples, task.text)} for task in tasks]
        settings = [self._settings(task, copier) for task, copier in zip(tasks, copiers, strict=True)]
        found = self.engine.generate(prompts, settings, use_tqdm=False) if tasks else []
        return [
            _read_answer(copier, task, item.outputs[0], self.stop)
            for copier, task, item in zip(copiers, tasks, found, strict=True)
        ]

    def _settings(self, task: WindowRequest, copier: TagGrammar) -> SamplingParams:
        tags = copier.spelling
        spelled = {kind: [*tokens] for kind, tokens in tags.types.items()}
        asked = {
            "chars": [[*tokens] for tokens in copier.char_tokens],
            "tags": {"open": [*tags.open], "close": [*tags.close], "end": [*tags.end], "types": spelled},
            "quiet": None if task.stop_mask is None else task.stop_mask.tolist(),
            "stop": self.stop,
        }
        # The longest answer: every character an entity of its own, of the type with the longest name.
        name = max(len(tokens) for tokens in tags.types.values())
        tag = len(tags.open) + len(tags.close) + 2 * (name + len(tags.end))
        longest = sum(map(len, copier.char_tokens)) + tag * len(copier.char_tokens) + 1
        return SamplingParams(
            temperature=0.0,
            logprobs=0,
            max_tokens=longest,
            stop_token_ids=[self.stop],
            detokenize=False,
            extra_args={_KEY: asked},
        )


def _read_answer(copier: TagGrammar, task: WindowRequest, output: Any, stop: int) -> LlmAnswer:  # noqa: ANN401 - vLLM's completion
    tokens = [*output.token_ids]
    probs = [at[token].logprob for token, at in zip(tokens, output.logprobs, strict=True)]
    if tokens and tokens[-1] == stop:
        del tokens[-1], probs[-1]
    # A token without an alternative has probability 1 over the allowed ones; rounding may say a little more.
    certain = [min(1.0, float(np.exp(value))) for value in probs]
    return copier.read_answer(tokens, certain, len(output.token_ids), partial=task.stop_mask is not None)
