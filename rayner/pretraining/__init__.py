"""Pretraining of an encoder on unlabelled text: the text, the order of training, and what the encoder learns.

Start with `objectives.py` (replaced or masked characters). `text_windows.py` holds the text on the disk,
`training_order.py` says which windows a step reads, and `shared_text.py` finds texts that share characters with
labelled sentences. This package may import torch and transformers, but not Ray (see `rayner.steps.pretraining`).
"""
