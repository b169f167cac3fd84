"""Make a checkpoint folder from a quantised GGUF file: what `make gemma` and `make qwen` have in common."""

import argparse
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def parse_arguments(description: str | None, *inputs: str) -> argparse.Namespace:
    """Return the arguments: the paths named in `inputs`, then `folder`, which must not exist."""
    parser = argparse.ArgumentParser(description=description)
    for name in inputs:
        parser.add_argument(name, type=Path)
    parser.add_argument("folder", type=Path, help="the checkpoint folder to make")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        sys.exit(f"{arguments.folder}: expected a new folder, found one that exists")
    return arguments


def convert_gguf(gguf: Path, folder: Path, dtype: torch.dtype) -> None:
    """Load a GGUF file, and write the model and its tokenizer as a checkpoint folder.

    dtype: the precision in which the weights are stored. They are no longer quantised.
    """
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # Without this, loading would look for a quantiser.
    del model.config.quantization_config
    model.is_quantized, model.hf_quantizer = False, None
    unfinished = folder.with_name(f"{folder.name}.part")  # so that an interrupted conversion leaves no folder to use
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(folder)
    print(f"{folder}: {sum(p.numel() for p in model.parameters()):,} parameters")
