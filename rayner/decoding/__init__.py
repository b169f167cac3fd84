"""Decoding of the LLM's answers: drafting and verifying, the greedy reference, vLLM, key-value caches."""
