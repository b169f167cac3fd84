"""The two models, the index and small checkpoints: torch, transformers, peft, FAISS. Everything runs without Ray."""
