"""The LLM: a causal language model and the encoder of its prompts, loaded from a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled

from rayner.config.model_settings import LoraConfig
from rayner.llm.prompt_encoder import PromptEncoder, load_prompt_encoder
from rayner.modeling.checkpoint import checkpoint_error, reject_pickles_and_build_kwargs
from rayner.modeling.devices import TORCH_DTYPES
from rayner.modeling.finite_weights import require_finite_weights


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
    hint: str = "none",
    device: torch.device,
    dtype: str = "float32",
    load_in: str = "none",
) -> Llm:
    """Load a causal language model to a device; if a LoRA adapter is given, add it there.

    The adapter is merged into the model, unless the base is quantised: merging would quantise the sum again.

    Args:
        base: The checkpoint folder or hub name.
        adapter: The folder of the LoRA adapter; None for no adapter.
        instruction: The instruction at the start of each prompt.
        types: The entity types that the LLM may write.
        chat: Whether to put prompts into the tokenizer's chat template, if it has one.
        hint: What prompts show of the small model's prediction, as in `llm.hint`.
        device: The device to load the model to.
        dtype: `float32` or `bfloat16`.
        load_in: `nf4` quantises the linear layers to 4 bits while they load; `none` loads them as they are stored.

    Raises:
        ConfigError: A checkpoint cannot be loaded.
        NotFiniteError: A weight is NaN or infinite.

    """
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(base),
            dtype=TORCH_DTYPES[dtype],
            **_placement_kwargs(device),
            **_quantisation_kwargs(load_in, TORCH_DTYPES[dtype]),
            **reject_pickles_and_build_kwargs(base),
        )
        if adapter is not None:
            model = _add_trained_lora(model, adapter, device)
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(base, "a checkpoint of a causal model", error) from error
    encoder = load_prompt_encoder(base, instruction=instruction, types=types, chat=chat, hint=hint)
    if is_deepspeed_zero3_enabled():
        model.to(device)  # the buffers; DeepSpeed has put the weights there
    model.eval()
    require_finite_weights(model, base)
    return Llm(
        encoder.tokenizer, encoder.instruction, encoder.types, encoder.frame, encoder.hint, model=model, device=device
    )


def _placement_kwargs(device: torch.device) -> dict[str, Any]:
    """Return the arguments by which transformers loads to a device, tensor by tensor from the file.

    So the node's memory never holds the model. Under ZeRO-3 DeepSpeed places the weights, and there are no arguments.
    """
    return {} if is_deepspeed_zero3_enabled() else {"device_map": {"": device}}


def _quantisation_kwargs(load_in: str, dtype: torch.dtype) -> dict[str, Any]:
    """Return the arguments by which transformers quantises a model while it loads.

    For `nf4`, the scales of the 4-bit weights are quantised too. For `none` there are no arguments: with one of None,
    transformers would ignore that the checkpoint itself is quantised.
    """
    if load_in != "nf4":
        return {}
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    }


def _add_trained_lora(model: Any, adapter: Path, device: torch.device) -> Any:  # noqa: ANN401 - transformers' models share no useful base
    """Load a LoRA adapter to the model's device, and merge it there unless the model is quantised."""
    from peft import PeftModel  # slow to import, so only if there is an adapter

    reject_pickles_and_build_kwargs(adapter)  # peft takes no such arguments; it reads safetensors if there are any
    # Without `torch_device`, peft takes any GPU that it sees.
    adapted = PeftModel.from_pretrained(model, str(adapter), torch_device=str(device))
    require_finite_weights(adapted, adapter, "lora_")  # merged, nobody could tell which file is to blame
    return adapted.get_base_model() if is_quantised(model) else adapted.merge_and_unload()


def is_quantised(model: Any) -> bool:  # noqa: ANN401 - likewise
    """Return whether the weights of a model are stored in fewer bits than its arithmetic takes."""
    return getattr(model, "hf_quantizer", None) is not None


def compute_logits(
    causal_lm: Any,  # noqa: ANN401 - transformers' models share no useful base
    hidden: torch.Tensor,
    token_ids: torch.Tensor | None,
) -> torch.Tensor:
    """Return the logits of the given tokens, or of the whole vocabulary, in float32.

    The output layer is expensive for a large vocabulary. So only the requested logits are computed.

    Args:
        causal_lm: The causal language model.
        hidden: Last hidden states, shape [n, hidden].
        token_ids: The requested token ids for each hidden state, shape [n, m]; None for the whole vocabulary.

    Returns:
        The logits, shape [n, m] or [n, vocabulary].

    """
    return compute_layer_logits(causal_lm.get_output_embeddings(), get_logit_cap(causal_lm), hidden, token_ids)


def get_logit_cap(causal_lm: Any) -> float | None:  # noqa: ANN401 - as above
    """Return the bound within which a model such as Gemma 2 squeezes its logits; None if it has none."""
    cap: float | None = getattr(causal_lm.config, "final_logit_softcapping", None)
    return cap


def compute_layer_logits(
    output_layer: Any,  # noqa: ANN401 - any module with a weight and a bias
    cap: float | None,
    hidden: torch.Tensor,
    token_ids: torch.Tensor | None,
) -> torch.Tensor:
    """Return the logits of an output layer, given by its `weight` and `bias`. See `compute_logits`."""
    logits: torch.Tensor
    if token_ids is None:
        logits = torch.nn.functional.linear(hidden, output_layer.weight, output_layer.bias)
    else:
        logits = (output_layer.weight[token_ids] @ hidden.unsqueeze(-1)).squeeze(-1)
        if output_layer.bias is not None:
            logits = logits + output_layer.bias[token_ids]
    logits = logits.float()
    return logits if cap is None else cap * torch.tanh(logits / cap)


def add_lora(model: Any, config: LoraConfig) -> Any:  # noqa: ANN401 - transformers' models share no useful base
    """Add a new, untrained LoRA adapter to the model and return the result."""
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
