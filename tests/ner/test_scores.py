import numpy as np

from rayner.ner.scores import LlmAnswer, LlmSpan, Scored, SlmScore
from rayner.ner.spans import Span


def test_plain_leaves_out_the_probabilities_and_keeps_the_order():
    spans = (Span(0, 1, "NG"), Span(4, 6, "NR"))
    answer = LlmAnswer(tuple(LlmSpan(span, 0.5, 0.25) for span in spans), np.ones(7, np.float32))
    assert answer.plain == spans


def test_a_segment_is_by_default_not_gated_and_not_set_aside():
    segment = Scored("史記/001", 10, 12, "楚懷", SlmScore((), np.zeros(2, np.float32)))
    assert (segment.llm, segment.gold, segment.gated, segment.error) == (None, (), False, None)
