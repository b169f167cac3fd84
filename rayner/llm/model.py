"""The large model: a causal language model and the encoder of its prompts, loaded from a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

from rayner.config.model_settings import LoraConfig
from rayner.llm.prompt_encoder import PromptEncoder, load_prompt_encoder
from rayner.modeling.checkpoint import checkpoint_error, reject_pickles_and_build_kwargs
from rayner.modeling.devices import TORCH_DTYPES


@dataclass
class Llm(PromptEncoder):
    """A causal language model with the encoder of its prompts."""

    model: Any = field(kw_only=True)
    device: torch.device = field(kw_only=True)


def load_llm_checkpoint(
    base: str | Path,
    *,
    adapter: Path | None = None,
    instruction: str,
    types: Sequence[str],
    chat: bool,
    device: torch.device,
    dtype: str = "float32",
) -> Llm:
    """Load a causal model, with a LoRA adapter merged in if one is given.

    base: checkpoint folder or hub name. chat: whether prompts are put into the chat template, if there is one.
    Raises ConfigError where a checkpoint cannot be loaded.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(base), dtype=TORCH_DTYPES[dtype], **reject_pickles_and_build_kwargs(base)
        )
        if adapter is not None:
            from peft import PeftModel  # slow to import: only where an adapter is

            reject_pickles_and_build_kwargs(
                adapter
            )  # peft takes no such arguments: it reads safetensors where there are any
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(base, "a checkpoint of a causal model", error) from error
    encoder = load_prompt_encoder(base, instruction=instruction, types=types, chat=chat)
    model = model.to(device).eval()  # type: ignore[arg-type]  # its decorator hides `self` from mypy
    return Llm(encoder.tokenizer, encoder.instruction, encoder.types, encoder.chat_frame, model=model, device=device)


def compute_logits(
    causal_lm: Any,  # noqa: ANN401 - transformers' models share no useful base
    hidden: torch.Tensor,
    token_ids: torch.Tensor | None,
) -> torch.Tensor:
    """Return the logits, in float32, of some tokens or of all.

    The output layer computes only what is asked for, because over a large vocabulary it is expensive.

    causal_lm: the model. hidden: [n, hidden]. ids: [n, m] the tokens in question; None for the whole vocabulary.
    Returns [n, m] or [n, vocabulary].
    """
    head = causal_lm.get_output_embeddings()
    cap: float | None = getattr(causal_lm.config, "final_logit_softcapping", None)
    logits: torch.Tensor
    if token_ids is None:
        logits = head(hidden)
    else:
        logits = (head.weight[token_ids] @ hidden.unsqueeze(-1)).squeeze(-1)
        if head.bias is not None:
            logits = logits + head.bias[token_ids]
    logits = logits.float()
    return logits if cap is None else cap * torch.tanh(logits / cap)


def add_lora(model: Any, config: LoraConfig) -> Any:  # noqa: ANN401 - transformers' models share no useful base
    """Return the model with a fresh adapter to train."""
    from peft import LoraConfig as PeftConfig
    from peft import get_peft_model

    targets = "all-linear" if config.targets == ["all-linear"] else config.targets
    return get_peft_model(
        model,
        PeftConfig(
            r=config.r,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
        ),
    )
