"""What the encoder and the LLM share: checkpoints, tokenization by character, batches, devices, models from scratch.

Start with `tokenizer.py` (characters to tokens) and `checkpoint.py` (what is loaded, and what is refused). This room
may import torch and transformers, but not Ray; it knows nothing of taggers, prompts or answers.
"""
