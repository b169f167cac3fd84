"""The sizes of models, read from their configurations without loading weights."""

from dataclasses import dataclass
from typing import Any

from rayner.config.model_settings import ScratchConfig
from rayner.config.settings import Config

_VOCABULARY = 10_000  # an upper bound for a model made from scratch


@dataclass(frozen=True)
class LlmShape:
    """The shape of an LLM, from which its memory for tokens follows.

    layers, hidden, intermediate: number of layers, hidden size, size of the feed-forward layers.
    cached_numbers: the numbers that the key-value cache holds for one token.
    """

    layers: int
    hidden: int
    intermediate: int
    cached_numbers: int


@dataclass(frozen=True)
class ModelSize:
    """Numbers of parameters of a checkpoint.

    parameters: those of the model without an adapter.
    adapter_parameters: those that the configured LoRA adapter adds.
    tied_parameters: those of the embedding if the output layer shares them, else 0.
    linear_parameters: those of the linear layers without the output layer, which `llm.load_in=nf4` holds in 4 bits.
    largest_module_parameters: those of the module with the most parameters of its own, such as the output layer.
    stored_dtype: the precision of the checkpoint's files, such as `bfloat16`; empty if it is not known.
    is_stored_in_4_bits: whether the checkpoint's files hold the linear layers in 4 bits.
    shape: the shape of an LLM; None for an encoder.
    """

    parameters: int
    adapter_parameters: int = 0
    tied_parameters: int = 0
    linear_parameters: int = 0
    largest_module_parameters: int = 0
    stored_dtype: str = ""
    is_stored_in_4_bits: bool = False
    shape: LlmShape | None = None


def read_model_size(model: str, config_if_llm: Config | None = None) -> ModelSize:
    """Compute the size of a checkpoint from its configuration, without loading weights.

    model: a checkpoint folder or hub name.
    config_if_llm: the settings if the checkpoint is an LLM, whose LoRA adapter is then counted too; None for an
        encoder.
    Raises OSError or ValueError if the checkpoint has no configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    from rayner.llm.adapter import build_weightless_llm, list_adapted_modules

    if config_if_llm is None:
        with torch.device("meta"):
            encoder = AutoModel.from_config(AutoConfig.from_pretrained(model))
        return ModelSize(sum(parameter.numel() for parameter in encoder.parameters()))
    llm, lora = build_weightless_llm(model), config_if_llm.llm.lora
    output, embedding = llm.get_output_embeddings(), llm.get_input_embeddings()
    tied = output is not None and output.weight is embedding.weight
    linear = [module for module in llm.modules() if isinstance(module, torch.nn.Linear) and module is not output]
    return ModelSize(
        parameters=sum(parameter.numel() for parameter in llm.parameters()),
        adapter_parameters=lora.r * sum(map(sum, list_adapted_modules(llm, lora).values())),
        tied_parameters=embedding.weight.numel() if tied else 0,
        linear_parameters=sum(module.weight.numel() for module in linear),
        largest_module_parameters=max(sum(p.numel() for p in m.parameters(recurse=False)) for m in llm.modules()),
        stored_dtype=str(llm.config.dtype).removeprefix("torch.") if llm.config.dtype else "",
        is_stored_in_4_bits=_is_in_4_bits(llm.config),
        shape=_read_shape(llm.config),
    )


def _is_in_4_bits(model_config: Any) -> bool:  # noqa: ANN401 - transformers' configurations share no useful base
    stored = getattr(model_config, "quantization_config", None)
    fields = stored if isinstance(stored, dict) else vars(stored) if stored else {}
    return bool(fields.get("load_in_4bit") or fields.get("_load_in_4bit"))


def _read_shape(model_config: Any) -> LlmShape | None:  # noqa: ANN401 - as above
    """Read the shape of a decoder; None if the configuration names it in another way."""
    from rayner.decoding.kv_cache import count_cached_numbers_per_token

    text = model_config.get_text_config()
    try:
        cached = count_cached_numbers_per_token(text)
        return LlmShape(text.num_hidden_layers, text.hidden_size, text.intermediate_size, cached)
    except (AttributeError, TypeError):
        return None


def estimate_scratch_size(shape: ScratchConfig, lora_rank: int = 0) -> ModelSize:
    """Estimate the size of a model made from scratch, and of its adapter.

    The estimate is chosen too large rather than too small.
    """
    layer = 4 * shape.hidden**2 + 3 * shape.hidden * shape.intermediate
    adapter = lora_rank * (4 * 2 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    embedding = _VOCABULARY * shape.hidden
    return ModelSize(embedding + shape.layers * layer, shape.layers * adapter, embedding)
