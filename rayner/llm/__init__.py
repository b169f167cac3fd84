"""The large model (LLM): its prompts, retrieval of similar examples, and the training loss."""
