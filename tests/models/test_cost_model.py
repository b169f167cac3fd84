"""The cost model against sums done by hand, and in its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.bench.cost_model import (
    Device,
    Mode,
    Shape,
    Text,
    flops_per_token,
    published_tokens,
    reading_seconds,
    stage_tokens,
    writing_seconds,
)

TEXT = Text(opening=40, example=30, question=25, answer=35, read=20, further=15)
SHAPE = Shape(body=1e6, layers=2, hidden=10, kv=10, vocabulary=1000)
DEVICE = Device("toy", flops=1e9, bandwidth=1e9, share=0.5)


def test_tokens_by_hand():
    assert published_tokens(TEXT, 5) == 40 + 150 + 25 + 34
    assert stage_tokens(TEXT, Mode(k=5, group=1, asked=0.5, passes=2)) == 0.5 * (150 + 25 + 19 + 15)
    shared = stage_tokens(TEXT, Mode(k=5, group=2, asked=0.5, passes=1))
    assert shared == pytest.approx(0.75 / 2 * 150 + 0.5 * (25 + 19))


@given(st.floats(0, 1), st.integers(1, 64), st.floats(1, 5))
def test_sharing_never_costs_and_asking_about_nothing_is_free(asked, group, passes):
    alone, shared = (stage_tokens(TEXT, Mode(5, g, asked, passes)) for g in (1, group))
    assert shared <= alone + 1e-9
    assert stage_tokens(TEXT, Mode(5, group, 0.0, passes)) == 0


def test_seconds_by_hand():
    assert flops_per_token(SHAPE, 100, 3) == 2e6 + 4 * 2 * 10 * 100 + 2 * 10 * 3
    assert reading_seconds(SHAPE, DEVICE, 50, 100, 3) == pytest.approx(50 * 2_008_060 / 5e8)
    step = (2 * (1e6 + 1e4) + 4 * (2 * 2 * 2 * 10 * 100)) / 1e9
    slow = Device("no arithmetic limit", 1e15, 1e9, 1.0)
    assert writing_seconds(SHAPE, slow, 8, 100, batch=4) == pytest.approx(2 * step)
