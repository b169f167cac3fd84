"""What the encoder and the LLM share: checkpoints, tokenization by character, batches, devices, and untrained models.

Start with `tokenizer.py` (characters to tokens) and `checkpoint.py` (which files are loaded, and which are refused).
This package may import torch and transformers, but not Ray. It does not depend on taggers, prompts or answers.
"""
