"""What the encoder and the LLM share: loading checkpoints, tokenization by character, batching, models from scratch.

Torch and transformers; no Ray.
"""
