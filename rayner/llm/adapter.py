"""LoRA adapters: the tensors that an adapter must have for a base model, and a check of a saved adapter.

Both need no device: the base model is built without weights, from its configuration.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from rayner.config.model_settings import LoraConfig
from rayner.modeling.finite_weights import require_finite_files

_ALL_LINEAR = ["all-linear"]
TensorShapes = dict[str, tuple[int, ...]]  # shapes of tensors by name


def build_weightless_llm(base: str | Path) -> Any:  # noqa: ANN401 - transformers' models share no useful base
    """Build the model of a checkpoint from its configuration alone, with parameters that have shapes but no numbers.

    Raises OSError or ValueError if the checkpoint has no configuration of a causal language model.
    """
    config = AutoConfig.from_pretrained(str(base), trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def list_adapted_modules(weightless_llm: Any, lora: LoraConfig) -> dict[str, tuple[int, int]]:  # noqa: ANN401 - likewise
    """Return the numbers of inputs and outputs of each linear module that the settings give an adapter, by name."""
    head = weightless_llm.get_output_embeddings()
    return {
        name: (module.in_features, module.out_features)
        for name, module in weightless_llm.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module is not head
        and (lora.targets == _ALL_LINEAR or name.rpartition(".")[2] in lora.targets)
    }


def compute_adapter_shapes(base: str | Path, lora: LoraConfig) -> TensorShapes:
    """Return the shapes of the tensors of an adapter for a base model, by the names that peft writes."""
    shapes: TensorShapes = {}
    for name, (inputs, outputs) in list_adapted_modules(build_weightless_llm(base), lora).items():
        shapes[f"base_model.model.{name}.lora_A.weight"] = (lora.r, inputs)
        shapes[f"base_model.model.{name}.lora_B.weight"] = (outputs, lora.r)
    return shapes


def check_and_measure_adapter(folder: Path, expected_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the size of a saved LoRA adapter.

    Args:
        folder: The folder of the adapter.
        expected_shapes: The shapes of the tensors that the base model takes, by name.

    Raises:
        NotFiniteError: A weight is not finite.
        RuntimeError: The tensors do not fit the base model, or training left a module unchanged.

    """
    require_finite_files(folder)
    tensors = load_file(str(folder / "adapter_model.safetensors"))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != dict(expected_shapes):
        name = min(name for name, _ in shapes.items() ^ expected_shapes.items())
        raise RuntimeError(
            f"{folder}: expected {name} of the shape {expected_shapes.get(name, 'none')}, as the base model takes it, "
            f"found {shapes.get(name, 'none')}"
        )
    # LoRA's second matrix (`lora_B`) is zero until training changes it.
    ups = [tensor for name, tensor in tensors.items() if "lora_B" in name]
    changed = sum(bool(tensor.abs().max() > 0) for tensor in ups)
    if not ups or changed < len(ups):
        raise RuntimeError(
            f"{folder}: expected weights that training changed in all {len(ups)} adapted modules, "
            f"found changed ones in {changed}"
        )
    return {"adapted_modules": len(ups), "adapter_parameters": sum(tensor.numel() for tensor in tensors.values())}
