"""The paper's rule: what decides each character, its illegal sequences, its gate, and the search for its lambda."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.drafting import reaches_stop_slot
from rayner.fusion.character_rule import CharacterRule, compute_character_f1_curve, find_tag_conflicts
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.gate import first_slot_outside_spans
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.weight_search import choose_middle_of_best_weights
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import GrammarState, TagGrammar
from rayner.text.tags import spans_to_tags, tags_to_spans
from tests.fusion.test_gate import broken_off, spans_of
from tests.fusion.test_regions import table_2_votes, table_2_weights
from tests.fusion.test_tuning import WEIGHTS, f1_by_fusing, scored_rows
from tests.report.synthetic import rows as synthetic_rows
from tests.strategies import char_spellings, floats32, probabilities, slm_scores, spans_in, tag_spellings, votes


@st.composite
def near_rules(draw, slm):
    """A rule whose bound lies at, or a little beside, 1 - H of some character."""
    at = draw(st.sampled_from([1 - float(entropy) for entropy in slm.entropy] or [0.5]))
    limit = at + draw(st.sampled_from([-1e-3, -1e-5, 0.0, 1e-5, 1e-3]))
    return CharacterRule(limit / math.e if limit > 0 else limit)


def character_rules():
    return st.builds(CharacterRule, st.floats(-5, 5))


@st.composite
def close_calls(draw):
    slm, llm = draw(votes(12))
    return slm, llm, draw(st.one_of(near_rules(slm), character_rules()))


def fused_whole(slm, llm, rule):
    """The fused tags, from every character of the whole answer."""
    n_chars = len(slm.entropy)
    tags, conflicts = find_tag_conflicts(slm, llm, n_chars)
    llm_tags = spans_to_tags(llm.spans, n_chars)
    for conflict in conflicts:
        if 1.0 - conflict.entropy < rule.weight * math.exp(conflict.llm_prob):
            tags[conflict.index] = llm_tags[conflict.index]
    return tags_to_spans(tags)


@given(table_2_weights)
def test_table_2_holds(weight):
    decoded = CharacterRule(weight).fuse_tags(*table_2_votes())
    assert decoded.spans == (Span(0, 3, "NR"), Span(4, 5, "NB"), Span(5, 6, "NB"))
    assert decoded.n_faults == 0


def test_the_output_breaks_bmes_where_the_models_cut_differently_and_it_is_counted():
    # The SLM's B- followed by the LLM's S-, and the LLM's B- followed by the SLM's O.
    slm = SlmPrediction((Span(0, 2, "NR"),), floats32([0, 3, 3, 0]))
    items = (LlmEntity(Span(1, 2, "NR"), 0.9, 0.9), LlmEntity(Span(2, 4, "NS"), 0.9, 0.9))
    llm = LlmAnswer(items, np.ones(5, np.float32))
    decoded = CharacterRule(0.3).fuse_tags(slm, llm)
    assert decoded == tags_to_spans(["B-NR", "S-NR", "B-NS", "O"])
    assert (decoded.no_begin, decoded.no_end) == (0, 2)
    decided = {entity.span: entity.decided_by for entity in CharacterRule(0.3).fuse(slm, llm)}
    assert decided == {Span(0, 1, "NR"): "llm", Span(1, 2, "NR"): "llm", Span(2, 3, "NS"): "llm"}


def test_the_output_breaks_bmes_where_an_end_loses_its_begin():
    slm = SlmPrediction((Span(0, 2, "NR"),), floats32([3, 0]))
    llm = LlmAnswer((LlmEntity(Span(0, 1, "NG"), 0.9, 0.9),), np.ones(3, np.float32))
    decoded = CharacterRule(0.3).fuse_tags(slm, llm)
    assert decoded.spans == (Span(0, 1, "NG"), Span(1, 2, "NR"))
    assert (decoded.no_begin, decoded.no_end) == (1, 0)


@pytest.mark.parametrize(
    ("slm", "llm", "category", "boundary", "decision"),
    [
        ((0, 1, "NR"), (0, 1, "NS"), 1, 0, 0),
        ((0, 1, "NR"), (0, 2, "NR"), 0, 1, 0),
        (None, (0, 1, "NS"), 1, 0, 0),
        ((0, 1, "NR"), None, 0, 0, 1),
    ],
    ids=["type", "extent", "slm silent", "llm silent"],
)
def test_a_character_is_decided_by_category_boundary_or_that_of_copying_on(slm, llm, category, boundary, decision):
    """The LLM wins with that one at 1 and the others at 0, and loses the other way round."""
    spans = () if slm is None else (Span(*slm),)
    score = SlmPrediction(spans, floats32([0, 9]))  # 1 lies between 0.5 and 0.5 e; the second character is the LLM's

    def fused(flip):
        items = () if llm is None else (LlmEntity(Span(*llm), abs(flip - category), abs(flip - boundary)),)
        answer = LlmAnswer(items, floats32([abs(flip - decision)] * 3))
        return CharacterRule(0.5).fuse_tags(score, answer).spans, answer.spans

    won, theirs = fused(0)
    assert won == theirs
    lost, _ = fused(1)
    assert lost != theirs
    assert lost[:1] == spans


@given(votes(), st.sampled_from([-math.inf, math.inf]))
def test_at_the_ends_of_the_weights_the_output_is_that_of_one_model(both, weight):
    slm, llm = both
    decoded = CharacterRule(weight).fuse_tags(slm, llm)
    assert decoded.spans == (slm.spans if weight < 0 else llm.spans)
    assert decoded.n_faults == 0


def test_of_neighbours_each_is_weighed_by_its_own_probability():
    """At a weight of one half e^0.9 is enough and e^0.1 is not."""
    llm = LlmAnswer((LlmEntity(Span(0, 1, "NR"), 0.9, 0.0), LlmEntity(Span(1, 2, "NS"), 0.1, 0.0)), floats32([0, 0, 0]))
    slm = SlmPrediction((), floats32([0, 0]))
    assert CharacterRule(0.5).fuse_tags(slm, llm).spans == (Span(0, 1, "NR"),)


@given(close_calls())
def test_reading_no_further_than_the_gate_asks_gives_the_tags_of_the_whole_answer(drawn):
    slm, llm, rule = drawn
    assert rule.fuse_tags(slm, llm) == fused_whole(slm, llm, rule)
    assert spans_of(rule.fuse(slm, llm)) == fused_whole(slm, llm, rule).spans
    sort_and_check_spans(spans_of(rule.fuse(slm, llm)), len(slm.entropy))


@given(close_calls())
def test_an_answer_broken_off_where_the_gate_allows_gives_the_same_entities_field_by_field(drawn):
    slm, llm, rule = drawn
    slots = rule.stop_mask(slm)
    end = first_slot_outside_spans(slots, llm.spans)
    assert rule.fuse(slm, broken_off(llm, end)) == rule.fuse(slm, llm)
    if end < len(slm.entropy):  # a little more than needed does no harm
        later = next(i for i in range(end + 1, len(slm.entropy) + 1) if not any(s.start < i < s.end for s in llm.spans))
        assert rule.fuse(slm, broken_off(llm, later)) == rule.fuse(slm, llm)
    if end > 0:
        cut = dataclasses.replace(llm, slot_probs=broken_off(llm, end - 1).slot_probs)
        with pytest.raises(ValueError, match=f"known up to slot {end - 1}, needed up to slot {end}"):
            rule.fuse(slm, cut)


@given(close_calls())
def test_where_the_gate_is_shut_no_llm_answer_changes_anything(drawn):
    slm, llm, rule = drawn
    segment = SegmentPrediction("d", 0, len(slm.entropy), "字" * len(slm.entropy), slm)
    if not rule.could_change(segment):
        assert rule.stop_mask(slm)[0]
        assert rule.fuse(slm, llm) == rule.decide(segment)
        assert spans_of(rule.decide(segment)) == slm.spans
    if fused_whole(slm, llm, rule).spans != slm.spans:
        assert rule.could_change(segment)
        assert not rule.stop_mask(slm)[0]


@given(st.floats(0, 4, width=32), st.floats(1e-5, 3))
def test_where_the_gate_is_open_some_llm_answer_changes_the_output(entropy, slack):
    limit = 1 - entropy + slack
    rule = CharacterRule(limit / math.e if limit > 0 else limit)
    slm = SlmPrediction((Span(0, 1, "NR"),), floats32([entropy]))
    sure = LlmAnswer((), floats32([1, 1] if limit > 0 else [0, 0]))
    assert not rule.stop_mask(slm)[0]
    assert rule.fuse(slm, sure) == []


@given(tag_spellings(), char_spellings(), st.tuples(st.integers(0, 2), st.integers(0, 2)), st.data())
def test_an_answer_that_the_grammar_stops_early_gives_the_same_entities_under_white_space(tags, chars, padding, data):
    """The answer is for the text without white space at its ends. It stops at the first slot that the mask allows.

    An entity may be open at an allowed slot, and an entity may just have been opened at the stop.
    """
    chars = [tokens for tokens in chars if tokens[0] not in (tags.open[0], tags.close[0])]
    grammar, n_chars = TagGrammar(chars, tags), len(chars)
    types = st.sampled_from(list(tags.types))
    spans = [dataclasses.replace(span, type=data.draw(types)) for span in data.draw(spans_in(n_chars))]
    tokens = [step.token for step in grammar.spell_answer(spans)]
    probs = data.draw(st.lists(probabilities, min_size=len(tokens), max_size=len(tokens)))
    slm = data.draw(slm_scores(n_chars)).pad(*padding)
    rule = data.draw(st.one_of(near_rules(slm), character_rules()))

    mask = rule.stop_mask(slm)[padding[0] : padding[0] + n_chars + 1]
    state, n_tokens = GrammarState(), 0
    for token in tokens:
        n_tokens += 1
        next_state, role = grammar.advance(state, token)
        if reaches_stop_slot(state, role, mask):
            break
        state = next_state
    stopped, whole = (
        grammar.read_answer(tokens[:end], probs[:end], partial=True).pad(*padding) for end in (n_tokens, len(tokens))
    )
    assert rule.fuse(slm, stopped) == rule.fuse(slm, whole)
    assert spans_of(rule.fuse(slm, stopped)) == fused_whole(slm, whole, rule).spans


def test_decoding_may_stop_inside_an_entity_of_the_small_model():
    slm = SlmPrediction((Span(0, 4, "NR"),), floats32([3, 0, 0, 0, 0]))
    rule = CharacterRule(0.3)
    assert rule.stop_mask(slm).tolist() == [False, True, True, True, True, True]
    llm = LlmAnswer((LlmEntity(Span(0, 1, "NS"), 0.5, 0.5),), floats32([1, 1, math.nan, math.nan, math.nan, math.nan]))
    left, right = rule.fuse(slm, llm)
    assert (left.span, left.decided_by, left.llm_consulted) == (Span(0, 1, "NS"), "llm", True)
    assert (right.span, right.decided_by, right.llm_consulted) == (Span(1, 4, "NR"), "slm", False)


def test_within_the_margin_of_rounding_the_llm_is_asked():
    slm = SlmPrediction((), floats32([0.5]))
    assert not CharacterRule((0.5 - 5e-7) / math.e).stop_mask(slm)[0]
    assert CharacterRule((0.5 - 2e-6) / math.e).stop_mask(slm)[0]


@given(scored_rows())
def test_the_curve_equals_fusing_and_scoring_at_each_weight(rows):
    curve = compute_character_f1_curve(rows, WEIGHTS)
    assert curve.tolist() == [f1_by_fusing(rows, CharacterRule(float(weight))) for weight in WEIGHTS]


def test_lambda_is_searched_for_the_rule_itself():
    rows, weights = synthetic_rows(30, seed=3), np.linspace(-1.5, 1, 41)
    types = tuple(sorted({span.type for row in rows for span in (*row.gold, *row.slm.spans, *row.llm.spans)}))
    curve = compute_character_f1_curve(rows, weights)
    assert len(set(curve.tolist())) > 5, "lambda must matter here, else this shows nothing"
    fit = CharacterRule(9.0).fit(FittingSample(rows, types, Lexicon({}, {}), {}, weights, 1.0))
    weight, best_f1 = choose_middle_of_best_weights(weights, curve)
    assert (fit.rule, fit.curve) == (CharacterRule(weight), None)
    assert best_f1 == max(curve)


def test_a_segment_without_an_answer_of_the_llm_is_refused_by_name():
    row = SegmentPrediction("some-doc", 3, 5, "字字", SlmPrediction((), floats32([0, 0])))
    with pytest.raises(ValueError, match=r"some-doc \[3, 5\)"):
        compute_character_f1_curve([row], WEIGHTS)


def test_what_is_written_is_read_back():
    rule = CharacterRule(0.25)
    assert CharacterRule.from_json(rule.to_json()) == rule
    assert rule.summary() == {"kind": "characters", "weight": 0.25}
