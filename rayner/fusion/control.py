"""The LLM-free control of a fusion (method, section 4).

The control is the same kind of rule, fitted anew on the same held-out sentences with every LLM answer empty. It can use
the SLM's probabilities and the training text as the fusion does. So what the fusion gains over its control is what the
LLM's answers are worth.
"""

from dataclasses import replace

import numpy as np

from rayner.text.predictions import LlmAnswer, SegmentPrediction


def with_empty_answer(segment: SegmentPrediction) -> SegmentPrediction:
    """Return the segment with an empty answer in place of the LLM's: no entity, and all slot probabilities are 1.

    A segment without an LLM answer is returned unchanged. A fusion keeps the SLM's entities there, and so does its
    control.
    """
    if segment.llm is None:
        return segment
    return replace(segment, llm=LlmAnswer((), np.ones(len(segment.text) + 1, dtype=np.float32)), gate=None)
