"""Candidates are divided among drafts without overlaps, and scored by the odds of the choices that write them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.candidate_scores import (
    CERTAIN,
    MAX_DRAFTS,
    combine_log_odds,
    plan_candidate_drafts,
    read_candidate_scores,
    spell_candidate_draft,
)
from rayner.text.predictions import CandidateScore
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import TagGrammar, TagSpelling, TokenRole
from tests.strategies import TYPES, any_span_in, char_spellings, spans_in, tag_spellings

N_CHARS = 12
candidate_lists = st.lists(any_span_in(N_CHARS, 5), max_size=14)


@given(spans_in(N_CHARS), candidate_lists)
def test_each_candidate_is_in_one_draft_unless_it_overlaps_others_in_all_of_them(own, candidates):
    drafts = plan_candidate_drafts(own, candidates, TYPES)
    scored = [span for draft in drafts for span in draft.candidates]
    assert len(scored) == len(set(scored))
    assert set(own) <= set(scored) <= {*own, *candidates}
    assert len(drafts) <= MAX_DRAFTS
    for span in {*candidates} - {*scored}:
        assert len(drafts) == MAX_DRAFTS
        assert all(any(span.overlaps(other) for other in draft.candidates) for draft in drafts)


@given(spans_in(N_CHARS), candidate_lists)
def test_a_draft_is_a_legal_answer_with_its_candidates_and_what_the_llm_wrote_beside_them(own, candidates):
    for draft in plan_candidate_drafts(own, candidates, TYPES):
        assert sort_and_check_spans(draft.entities, N_CHARS) == draft.entities
        beside = {span for span in own if not any(span.overlaps(other) for other in draft.candidates)}
        assert set(draft.entities) == {*draft.candidates, *beside}


@given(spans_in(N_CHARS), candidate_lists)
def test_the_first_draft_holds_the_answer_and_all_that_fits_beside_it(own, candidates):
    drafts = plan_candidate_drafts(own, candidates, TYPES)
    if not drafts:
        assert not own
        assert not candidates
        return
    assert set(own) <= set(drafts[0].candidates)
    for span in candidates:
        assert span in drafts[0].candidates or any(span.overlaps(other) for other in drafts[0].candidates)


def test_candidates_without_overlaps_take_one_draft_and_rivals_one_each():
    own, rivals = (Span(0, 2, "NR"),), [Span(0, 2, "NS"), Span(0, 1, "NR"), Span(3, 4, "NB")]
    drafts = plan_candidate_drafts(own, rivals, TYPES)
    assert [draft.candidates for draft in drafts] == [
        (Span(0, 2, "NR"), Span(3, 4, "NB")), (Span(0, 2, "NS"),), (Span(0, 1, "NR"),)
    ]  # fmt: skip


def test_a_type_that_the_llm_cannot_spell_is_not_scored():
    assert plan_candidate_drafts((), [Span(0, 1, "ZD")], TYPES) == []


@st.composite
def drafted(draw):
    """A grammar, a draft with candidates, and log-odds for each of its tokens."""
    chars, tags = draw(char_spellings().filter(bool)), draw(tag_spellings())
    grammar, kinds = TagGrammar(chars, tags), sorted(tags.types)
    spans = [Span(s.start, s.end, draw(st.sampled_from(kinds))) for s in draw(spans_in(len(chars)))]
    candidates = [Span(s.start, s.end, draw(st.sampled_from(kinds))) for s in draw(spans_in(len(chars)).filter(bool))]
    draft = draw(st.sampled_from(plan_candidate_drafts(spans, candidates, kinds)))
    steps = spell_candidate_draft(grammar, draft)
    odds = [
        math.inf if len(step.allowed) == 1 else draw(st.floats(-15, 15).map(lambda v: round(v, 3))) for step in steps
    ]
    return grammar, draft, steps, odds


def sigmoid(value):
    return 1 / (1 + math.exp(-value)) if value < math.inf else 1.0


@given(drafted())
def test_a_score_is_that_of_the_choices_that_write_the_candidate(drawn):
    """Computed again from the places of the tokens in the whole answer, as products of probabilities."""
    _, draft, steps, odds = drawn
    scores = read_candidate_scores(steps, odds, draft.candidates)
    assert [score.span for score in scores] == list(draft.candidates)
    for score in scores:
        span = score.span
        opened = next(k for k, s in enumerate(steps) if s.role is TokenRole.OPEN and s.slot == span.start)
        closed = next(k for k, s in enumerate(steps) if s.role is TokenRole.CLOSE and s.slot == span.end)
        first = next(k for k in range(opened, closed) if steps[k].role is TokenRole.COPY)
        expected = (
            sigmoid(odds[opened]),
            math.prod(sigmoid(odds[k]) for k in range(opened + 1, first)),
            math.prod(sigmoid(odds[k]) for k in range(first + 1, closed) if steps[k].role is TokenRole.COPY),
            sigmoid(odds[closed]),
        )
        found = (score.opening, score.category, score.going_on, score.closing)
        np.testing.assert_allclose([sigmoid(value) for value in found], expected, atol=1e-9)


@given(drafted())
def test_what_the_grammar_forces_has_the_odds_of_what_is_certain(drawn):
    grammar, draft, steps, odds = drawn
    for score in read_candidate_scores(steps, odds, draft.candidates):
        if score.span.end - score.span.start == 1:
            assert score.going_on == CERTAIN
        if score.span.end == len(grammar.char_tokens):
            assert score.closing == CERTAIN
        if len(grammar.spelling.types) == 1:
            assert score.category == CERTAIN


@given(drafted())
def test_a_draft_is_spelled_up_to_the_end_of_its_last_candidate(drawn):
    grammar, draft, steps, _ = drawn
    whole = grammar.spell_answer(draft.entities)
    assert whole[: len(steps)] == steps
    assert (steps[-1].role, steps[-1].slot) == (TokenRole.CLOSE, draft.candidates[-1].end)


def test_a_score_worked_by_hand():
    """`<` is 0, `</` is 1, `>` is 2; N is 5, R is 6, S is 7. 懷王 as a person: <NR>懷王</NR>入."""
    tags = TagSpelling(open=(0,), close=(1,), end=(2,), types={"NR": (5, 6), "NS": (5, 7)})
    (draft,) = plan_candidate_drafts((), [Span(0, 2, "NR")], ["NR", "NS"])
    steps = spell_candidate_draft(TagGrammar([(10,), (11,), (12,)], tags), draft)
    assert [step.token for step in steps] == [0, 5, 6, 2, 10, 11, 1]
    odds = [1.5, math.inf, -0.5, math.inf, math.inf, 3.0, 0.25]
    (score,) = read_candidate_scores(steps, odds, draft.candidates)
    assert score.span == Span(0, 2, "NR")
    assert (score.opening, score.category, score.going_on, score.closing) == pytest.approx((1.5, -0.5, 3.0, 0.25))


@given(st.lists(st.floats(-40, 40), max_size=5))
def test_combined_odds_are_those_of_the_product_and_bounded(odds):
    found = combine_log_odds(odds)
    assert -CERTAIN <= found <= CERTAIN
    assert sigmoid(found) == pytest.approx(math.prod(map(sigmoid, odds)), rel=1e-6, abs=1e-12)
    assert len(odds) != 1 or found == pytest.approx(min(CERTAIN, max(-CERTAIN, odds[0])), abs=1e-3)


def test_what_is_not_a_number_stays_so():
    assert math.isnan(combine_log_odds([1.0, math.nan]))
    assert math.isnan(combine_log_odds([math.inf, math.nan]))
    assert combine_log_odds([math.inf]) == CERTAIN
    assert combine_log_odds([-math.inf]) == -CERTAIN


def test_a_score_moves_with_its_text():
    assert CandidateScore(Span(1, 2, "NR"), 1, 2, 3, 4).shift(3) == CandidateScore(Span(4, 5, "NR"), 1, 2, 3, 4)
