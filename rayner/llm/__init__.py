"""The large model (LLM): its prompts, the retrieval of similar examples, and supervised fine-tuning.

Start with `prompts.py` (what the LLM reads), `model.py` (the model, and its prompts as tokens) and `retrieval.py`
(which examples a prompt shows). How the LLM answers is in `rayner/decoding`. This package may not import Ray.
"""
