"""Training steps: the small model, the LLM, and what each needs before (pseudo-labels) and after (cross-fitting)."""
