"""Train the models: the small model (`train_slm`), the LLM (`train_llm`), and both again for each fold (`cross_fit`).

Where the LLM learns from the small model's predictions, `cross_fit_slm` trains the small model again for each fold.

An encoder (`train_encoder`) or an LLM is trained by Ray Train workers (`rayner.cluster.ray_train`). Any other tagger is
trained in one Ray task (`train_in_one_process`).

The training examples of the LLM are tokenised once (`sft_examples`). Then its workers start (`deepspeed_worker`,
`deepspeed_engine`).
"""
