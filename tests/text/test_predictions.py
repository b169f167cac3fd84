import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rayner.text.predictions import (
    CandidateScore,
    LlmAnswer,
    LlmEntity,
    SegmentPrediction,
    SlmPrediction,
    decode_log_probs,
    join_window_answers,
)
from rayner.text.segmentation import split_windows
from rayner.text.spans import Span, crop_spans, sort_and_check_spans
from rayner.text.tags import tags_to_spans
from tests.strategies import LABELS, floats32, legal_tags, llm_answers, slm_scores

sides = st.integers(0, 4)


def answer_of(spans, n_chars, passes=0):
    """An answer whose decisions tell their place."""
    items = tuple(LlmEntity(span, 0.5, 0.25) for span in spans)
    return LlmAnswer(items, np.arange(n_chars + 1, dtype=np.float32) / 128, passes)


def test_plain_leaves_out_the_probabilities_and_keeps_the_order():
    spans = (Span(0, 1, "NG"), Span(4, 6, "NR"))
    assert answer_of(spans, 6).spans == spans


def test_a_segment_is_by_default_not_gated_and_not_set_aside():
    segment = SegmentPrediction("史記/001", 10, 12, "楚懷", SlmPrediction((), np.zeros(2, np.float32)))
    assert (segment.llm, segment.gold, segment.gated, segment.error) == (None, (), False, None)


@given(st.integers(0, 6).flatmap(slm_scores), sides, sides)
def test_a_framed_slm_score_says_the_same_inside_and_certainly_nothing_outside(score, before, after):
    framed = score.pad(before, after)
    n_chars = len(score.entropy)
    assert crop_spans(framed.spans, before, before + n_chars) == score.spans
    assert len(framed.spans) == len(score.spans)
    assert framed.entropy.dtype == np.float32
    assert framed.entropy.tolist() == [0] * before + score.entropy.tolist() + [0] * after


@given(st.integers(0, 6).flatmap(llm_answers), sides, sides)
def test_a_framed_llm_answer_says_the_same_inside_and_certainly_nothing_outside(answer, before, after):
    framed = answer.pad(before, after)
    assert framed.spans == tuple(span.shift(before) for span in answer.spans)
    assert [(s.category_prob, s.boundary_prob) for s in framed.entities] == [
        (s.category_prob, s.boundary_prob) for s in answer.entities
    ]
    assert framed.slot_probs.dtype == np.float32
    assert framed.slot_probs.tolist() == [1] * before + answer.slot_probs.tolist() + [1] * after


def test_framed_keeps_the_passes():
    assert answer_of((), 3, passes=7).pad(1, 1).passes == 7


@st.composite
def cuts(draw):
    n_chars, size = draw(st.integers(0, 16)), draw(st.integers(2, 8))
    return n_chars, split_windows(n_chars, size, draw(st.integers(0, size - 1)))


@given(cuts(), st.data())
def test_joined_gives_back_an_answer_whose_entities_lie_in_the_windows_that_keep_their_beginning(drawn, data):
    n_chars, found = drawn
    whole = data.draw(llm_answers(n_chars))
    for window in found:
        begun = [span for span in whole.spans if window.keep_start <= span.start < window.keep_end]
        assume(all(span.end <= window.end for span in begun))
    parts = []
    for window in found:
        inside = [item for item in whole.entities if window.start <= item.span.start and item.span.end <= window.end]
        items = tuple(
            LlmEntity(item.span.shift(-window.start), item.category_prob, item.boundary_prob) for item in inside
        )
        parts.append(LlmAnswer(items, whole.slot_probs[window.start : window.end + 1], passes=2))
    answer = join_window_answers(parts, found)
    assert answer.entities == whole.entities
    np.testing.assert_array_equal(answer.slot_probs, whole.slot_probs)
    assert answer.passes == 2 * len(found)


@given(cuts(), st.data())
def test_joined_is_legal_whatever_the_windows_say(drawn, data):
    n_chars, found = drawn
    parts = [data.draw(llm_answers(window.end - window.start)) for window in found]
    answer = join_window_answers(parts, found)
    assert sort_and_check_spans(answer.spans, n_chars) == answer.spans
    assert answer.slot_probs.shape == (n_chars + 1,)
    for span in answer.spans:
        (k,) = (k for k, window in enumerate(found) if window.keep_start <= span.start < window.keep_end)
        assert span.shift(-found[k].start) in parts[k].spans


def test_joined_drops_an_entity_that_overlaps_the_one_before():
    cut = split_windows(7, 5, 2)  # [0, 5) keeps 0 to 2, [2, 7) keeps 3 to 6
    first, second = answer_of([Span(2, 4, "NR")], 5), answer_of([Span(1, 2, "NS"), Span(2, 3, "NS")], 5)
    answer = join_window_answers([first, second], cut)
    assert answer.spans == (Span(2, 4, "NR"), Span(4, 5, "NS"))
    assert answer.slot_probs.tolist() == (floats32([0, 1, 2, 1, 2, 3, 4, 5]) / 128).tolist()


def test_joined_takes_the_score_of_a_candidate_from_the_window_that_keeps_its_beginning():
    cut = split_windows(7, 5, 2)  # [0, 5) keeps 0 to 2, [2, 7) keeps 3 to 6
    scored = [
        replace(
            answer_of((), 5), candidate_scores=tuple(CandidateScore(Span(i, i + 1, "NR"), w, i, 0, 0) for i in range(5))
        )
        for w in (1, 2)
    ]
    joined = join_window_answers(scored, cut)
    assert [(s.span.start, s.opening, s.category) for s in joined.candidate_scores] == [
        (0, 1, 0), (1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2), (5, 2, 3), (6, 2, 4)
    ]  # fmt: skip
    assert join_window_answers([scored[0], answer_of((), 5)], cut).candidate_scores is None
    assert joined.pad(2, 3).candidate_scores[0] == CandidateScore(Span(2, 3, "NR"), 1, 0, 0, 0)


def test_joined_refuses_a_missing_window():
    with pytest.raises(ValueError, match="zip"):
        join_window_answers([answer_of((), 5)], split_windows(7, 5, 2))


def distributions(tags):
    """A distribution a character in which the tag has one half, and the other labels share the rest."""
    out = np.full((len(tags), len(LABELS)), np.log(0.5 / (len(LABELS) - 1)), dtype=np.float32)
    out[np.arange(len(tags)), np.array([LABELS.index(tag) for tag in tags], dtype=int)] = np.log(0.5)
    return out


EACH = -0.5 * math.log(0.5) - 0.5 * math.log(0.5 / (len(LABELS) - 1))  # the entropy of each of these


def test_texts_are_read_each_for_itself_and_those_without_entities_or_characters_too():
    drawn = [distributions(tags.split()) for tags in ("O O", "", "B-NR E-NR O", "O", "", "S-NS")]
    found = decode_log_probs(drawn, LABELS)
    assert [score.spans for score in found] == [(), (), (Span(0, 2, "NR"),), (), (), (Span(0, 1, "NS"),)]
    for score, log_probs in zip(found, drawn, strict=True):
        assert score.entropy.dtype == np.float32
        assert score.entropy.tolist() == pytest.approx([EACH] * len(log_probs))
        np.testing.assert_array_equal(score.log_probs, log_probs)


@given(st.lists(legal_tags(4), max_size=5))
def test_all_texts_at_once_read_like_one_at_a_time(parts):
    found = decode_log_probs([distributions(tags) for tags in parts], LABELS)
    assert [score.spans for score in found] == [tags_to_spans(tags).spans for tags in parts]
    assert [len(score.entropy) for score in found] == [len(tags) for tags in parts]


def test_the_label_of_no_entity_need_not_be_the_first():
    (found,) = decode_log_probs([np.log(floats32([[0.75, 0.25], [0.75, 0.25]]))], ("S-NR", "O"))
    assert found.spans == (Span(0, 1, "NR"), Span(1, 2, "NR"))
