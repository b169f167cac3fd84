"""Pretrain an encoder on unlabelled text, as the checkpoint from which a small model is fine-tuned.

`pretrain.py` is the job, with its checks. `text.py` reads the corpus and decides which texts are left out. `worker.py`
is the training on the workers of Ray Train.
"""
