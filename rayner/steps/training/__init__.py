"""Training: the small model (`train_slm`), the large model (`train_llm`), and both again per fold (`cross_fit`).

A training runs as Ray Train workers (`rayner.cluster.ray_train`) or, for taggers that need no GPU, as one Ray task
(`train_in_one_process`). The LLM's training examples are tokenised once (`sft_examples`) before its workers start
(`deepspeed_worker`, `deepspeed_engine`); `pseudo_labels` gives an LLM made from scratch more text to learn from.
"""
