"""The learned rule: its numbers are bounded, its output legal, and the LLM is skipped only where it has no say."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned import span_rule
from rayner.fusion.learned.lexicon import Lexicon, build_lexicon
from rayner.fusion.learned.span_acceptance import choose_acceptance_threshold, rank_nonoverlapping
from rayner.fusion.learned.span_bound import max_score_over_llm_answers
from rayner.fusion.learned.span_features import (
    CANDIDATE_SCORE_FEATURES,
    LOG_PROB_FLOOR,
    MIN_LABEL_PROB,
    candidate_spans,
    compute_span_features,
    entity_label_log_probs,
    feature_names,
    slm_candidate_spans,
)
from rayner.fusion.learned.span_rule import SpanRule, accept_candidates, candidate_probs
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import (
    CandidateScore,
    LlmAnswer,
    LlmEntity,
    SegmentPrediction,
    SlmPrediction,
    decode_log_probs,
)
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import bmes_labels, spans_to_tags
from tests.strategies import LABELS, TYPES, candidate_scores_of, floats32, llm_answers, spans_in, texts

LEXICON = Lexicon({"楚": {"NS": 3}, "懷王": {"NR": 2, "NS": 1}}, {"楚": 9, "懷王": 3})


@st.composite
def distributions(draw, n_chars):
    rows = draw(st.lists(st.lists(st.floats(-20, 20), min_size=13, max_size=13), min_size=n_chars, max_size=n_chars))
    logits = np.array(rows, dtype=np.float64).reshape(n_chars, len(LABELS))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@st.composite
def rows(draw, max_size=10):
    text = draw(texts(max_size))
    log_probs = draw(distributions(len(text)))
    (slm,) = decode_log_probs([log_probs], LABELS)
    row = SegmentPrediction("d", 0, len(text), text, slm, draw(llm_answers(len(text))), gold=draw(spans_in(len(text))))
    return dataclasses.replace(row, llm=draw(scored(row)))


@st.composite
def scored(draw, row):
    """The LLM's answer to a segment, with scores of some of the candidates."""
    return dataclasses.replace(row.llm, candidate_scores=draw(candidate_scores_of(candidate_spans(row, TYPES))))


@st.composite
def span_rules(draw):
    with_scores = draw(st.booleans())
    n = len(feature_names(TYPES, candidate_scores=with_scores)) + 1
    weights = tuple(draw(st.lists(st.floats(-3, 3), min_size=n, max_size=n)))
    return SpanRule(TYPES, weights, LEXICON, draw(st.floats(0.1, 0.9)), with_scores)


@given(rows())
def test_each_candidate_has_a_finite_number_in_each_column(row):
    spans = candidate_spans(row, TYPES)
    for with_scores in (False, True):
        found = compute_span_features(row, spans, TYPES, LEXICON, candidate_scores=with_scores)
        assert found.shape == (len(spans), len(feature_names(TYPES, candidate_scores=with_scores)))
        assert np.isfinite(found).all()
    assert set(spans) >= {*row.slm.spans, *row.llm.spans}


@given(rows())
def test_what_the_small_model_considers_has_no_unlikely_label(row):
    kinds = range(len(TYPES))
    for span in slm_candidate_spans(row.slm, TYPES):
        assert (entity_label_log_probs(row.slm.log_probs, span, TYPES) > math.log(MIN_LABEL_PROB)).all()
    alone = {Span(i, i + 1, TYPES[k]) for i in range(len(row.text)) for k in kinds
             if row.slm.log_probs[i, 4 + 4 * k] > math.log(MIN_LABEL_PROB)}  # fmt: skip
    assert {span for span in slm_candidate_spans(row.slm, TYPES) if span.end - span.start == 1} == alone


@given(st.integers(2, 5), st.integers(0, 2))
def test_a_second_thought_is_a_candidate(size, k):
    log_probs = np.full((size, len(LABELS)), math.log(0.02), dtype=np.float32)
    log_probs[:, 0] = math.log(0.5)
    span = Span(0, size, TYPES[k])
    for i, tag in enumerate(spans_to_tags([span], size)):
        log_probs[i, LABELS.index(tag)] = math.log(0.2)
    assert slm_candidate_spans(SlmPrediction((), floats32([1] * size), log_probs), TYPES) == {span}


@pytest.mark.parametrize("log_probs", [None, np.zeros((0, len(LABELS)), dtype=np.float32)])
def test_without_distributions_nothing_is_considered(log_probs):
    assert slm_candidate_spans(SlmPrediction((), floats32([]), log_probs), TYPES) == set()


@given(rows(), span_rules())
def test_the_output_is_legal_and_made_of_candidates_above_the_threshold(row, rule):
    found = accept_candidates(row, rule)
    spans = [span for span, _ in found]
    assert sort_and_check_spans(spans, len(row.text)) == tuple(spans)
    assert set(spans) <= set(candidate_spans(row, TYPES))
    assert all(rule.threshold < chance <= 1 for _, chance in found)


@given(rows(), span_rules())
def test_what_is_left_out_is_unlikely_or_overlaps_something_likelier(row, rule):
    taken = dict(accept_candidates(row, rule))
    spans = candidate_spans(row, TYPES)
    for span, chance in zip(spans, span_rule.candidate_probs(row, spans, rule), strict=True):
        if span not in taken and chance > rule.threshold:
            assert any(other.overlaps(span) and taken[other] >= chance for other in taken)


@given(rows(), span_rules())
def test_decisions_name_who_put_each_entity(row, rule):
    for decision in rule.decide(row):
        sides = (decision.span in row.slm.spans, decision.span in row.llm.spans)
        expected = {"agree": [(True, True)], "slm": [(True, False), (False, False)], "llm": [(False, True)]}
        assert sides in expected[decision.decided_by]


@given(rows(), span_rules())
def test_where_the_gate_is_shut_no_llm_answer_changes_anything(row, rule):
    alone = rule.decide(dataclasses.replace(row, llm=None))
    if not rule.could_change(row):
        assert rule.decide(row) == alone
        assert accept_candidates(row, rule) == []  # not by the gate, but by the rule itself
    assert [decision.span for decision in alone] == list(row.slm.spans)


@given(rows(), span_rules(), st.data())
def test_no_candidate_of_the_llm_alone_passes_the_bound(row, rule, data):
    row = dataclasses.replace(row, slm=dataclasses.replace(row.slm, spans=()))
    weights = np.array(rule.weights)
    with_scores = rule.candidate_scores
    limit = max_score_over_llm_answers(row, TYPES, LEXICON, weights[1:], candidate_scores=with_scores)
    for answer in (row.llm, data.draw(llm_answers(len(row.text)))):
        other = dataclasses.replace(row, llm=answer)
        other = dataclasses.replace(other, llm=data.draw(scored(other)))
        spans = candidate_spans(other, TYPES)
        found = compute_span_features(other, spans, TYPES, LEXICON, candidate_scores=with_scores) @ weights[1:]
        assert all(value <= limit + 1e-9 for value in found)


def test_the_gate_is_shut_for_some_text():
    sure = np.full((3, len(LABELS)), -30, dtype=np.float32)
    sure[:, 0] = 0
    columns = feature_names(TYPES)
    weights = [0.0] * len(columns)
    weights[columns.index("SLM log p min")] = 1.0
    row = SegmentPrediction("d", 0, 3, "怒去之", SlmPrediction((), floats32([0, 0, 0]), sure))
    assert not SpanRule(TYPES, (2.0, *weights), LEXICON).could_change(row)
    assert SpanRule(TYPES, (-LOG_PROB_FLOOR + 1, *weights), LEXICON).could_change(row)


@pytest.mark.parametrize("feature", CANDIDATE_SCORE_FEATURES)
def test_the_gate_opens_where_a_score_of_a_candidate_can_change_the_result(feature):
    """The small model gives a candidate -14, and the LLM's score at most 9."""
    sure = np.full((3, len(LABELS)), -30, dtype=np.float32)
    sure[:, 0] = 0
    columns = feature_names(TYPES, candidate_scores=True)
    weights = [float(name in ("SLM log p min", feature)) for name in columns]
    span = Span(0, 2, "NR")
    answer = LlmAnswer((LlmEntity(span, 1, 1),), floats32([1] * 4), 0, None, (CandidateScore(span, 40, 40, 40, 40),))
    row = SegmentPrediction("d", 0, 3, "怒去之", SlmPrediction((), floats32([0, 0, 0]), sure), answer)
    shut, opened = (SpanRule(TYPES, (constant, *weights), LEXICON, 0.5, True) for constant in (4.9, 5.1))
    assert not shut.could_change(row)
    assert accept_candidates(row, shut) == []
    assert opened.could_change(row)
    assert [decision.span for decision in opened.decide(row)] == [span]


@given(span_rules())
def test_a_rule_is_read_back_from_json(rule):
    again = SpanRule.from_json(json.loads(json.dumps(rule.to_json(), ensure_ascii=False)))
    assert again == rule


def one(text, own, theirs, gold, certainty=0.9):
    """A segment: the small model puts `own`, the LLM `theirs`, each with a certainty."""
    log_probs = np.full((len(text), len(LABELS)), math.log((1 - certainty) / (len(LABELS) - 1)), dtype=np.float32)
    tags = ["O"] * len(text)
    for span in own:
        tags[span.start] = f"S-{span.type}"
    for i, tag in enumerate(tags):
        log_probs[i, LABELS.index(tag)] = math.log(certainty)
    (slm,) = decode_log_probs([log_probs], LABELS)
    llm = LlmAnswer(tuple(LlmEntity(s, certainty, certainty) for s in theirs), floats32([certainty] * (len(text) + 1)))
    return SegmentPrediction("d", 0, len(text), text, slm, llm, gold=gold)


@pytest.fixture
def llm_knows_places():
    """The LLM is right about places, the small model about persons."""
    person, place = Span(0, 1, "NR"), Span(2, 3, "NS")
    wrong = Span(3, 4, "NR")
    sides = [((person, wrong), (place,)), ((wrong,), (place,)), ((person,), (place, wrong)), ((person,), ())]
    return [
        one("楚王怒去" + chr(0x4E00 + i), *sides[i % 4], tuple(s for side in sides[i % 4] for s in side if s != wrong))
        for i in range(80)
    ]


def test_it_learns_whom_to_believe_where(llm_knows_places):
    rule = span_rule.fit_span_rule(llm_knows_places, TYPES, LEXICON, ridge=0.1)
    for row in llm_knows_places:
        assert [decision.span for decision in rule.decide(row)] == sorted(row.gold)


@pytest.fixture
def llm_weighs_what_it_does_not_propose():
    """The LLM proposes nothing, but when it is asked it tells the right entities of the small model from the wrong."""
    entity, made = Span(0, 1, "NR"), []
    for i in range(40):
        row = one("楚王怒去" + chr(0x4E00 + i), (entity,), (), (entity,) if i % 2 else ())
        score = CandidateScore(entity, *[2.0 if i % 2 else -2.0] * 4)
        made.append(dataclasses.replace(row, llm=dataclasses.replace(row.llm, candidate_scores=(score,))))
    return made


def test_it_learns_from_the_scores_of_candidates_that_the_llm_did_not_propose(llm_weighs_what_it_does_not_propose):
    some = llm_weighs_what_it_does_not_propose
    blind = [dataclasses.replace(r, llm=dataclasses.replace(r.llm, candidate_scores=None)) for r in some]
    rule, without = (span_rule.fit_span_rule(rows, TYPES, LEXICON, ridge=0.1) for rows in (some, blind))
    assert (rule.candidate_scores, without.candidate_scores) == (True, False)
    right = [[d.span for d in rule.decide(row)] == sorted(row.gold) for row in some]
    assert all(right)
    assert not all([d.span for d in without.decide(row)] == sorted(row.gold) for row in blind)
    assert set(rule.named_weights) - set(without.named_weights) == set(CANDIDATE_SCORE_FEATURES)
    assert not span_rule.fit_span_rule([*some, blind[0]], TYPES, LEXICON).candidate_scores


def test_a_rule_that_reads_scores_refuses_an_answer_without_them(llm_weighs_what_it_does_not_propose):
    row = llm_weighs_what_it_does_not_propose[0]
    blind = dataclasses.replace(row, llm=dataclasses.replace(row.llm, candidate_scores=None))
    with pytest.raises(ValueError, match=r"d \[0, 5\): expected an answer of the LLM with scores of the candidates"):
        compute_span_features(blind, row.slm.spans, TYPES, LEXICON, candidate_scores=True)


def sample_of(segments, ridge=3.0):
    return FittingSample(segments, TYPES, LEXICON, {}, np.zeros(1), ridge)


def test_what_is_judged_was_not_fitted_on(llm_knows_places):
    doubled = [*llm_knows_places, *llm_knows_places]  # copies of a text lie in one fold
    seen = []

    class Recording:
        def fit(self, sample):
            seen.append({row.text for row in sample.segments})
            return SpanRule.unfitted(TYPES, LEXICON).fit(sample)

    found = decide_held_out(Recording(), sample_of(doubled, ridge=0.1), folds=4, seed=1)
    assert len(seen) == 4
    assert all(len(texts) == 60 for texts in seen)
    assert set.intersection(*seen) == set()
    right = [[d.span for d in own] == sorted(row.gold) for own, row in zip(found, doubled, strict=True)]
    assert all(right)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_sentences_are_judged_too(llm_knows_places, n):
    some = llm_knows_places[:n]
    found = decide_held_out(SpanRule.unfitted(TYPES, LEXICON), sample_of(some), folds=5, seed=1)
    assert len(found) == n


def test_without_candidates_a_rule_accepts_nothing():
    row = one("楚王", (), (), ())
    rule = span_rule.fit_span_rule([row], TYPES, LEXICON)
    assert rule.decide(one("楚王", (Span(0, 1, "NR"),), (), ())) == []


def test_a_missing_answer_or_distribution_is_an_error():
    row = one("楚王", (Span(0, 1, "NR"),), (), ())
    with pytest.raises(ValueError, match="expected answers of both models"):
        compute_span_features(dataclasses.replace(row, llm=None), row.slm.spans, TYPES, LEXICON)
    with pytest.raises(ValueError, match="expected answers of both models"):
        compute_span_features(
            dataclasses.replace(row, slm=dataclasses.replace(row.slm, log_probs=None)), row.slm.spans, TYPES, LEXICON
        )


def test_the_lexicon_counts_tags_and_places():
    examples = [
        LabelledSentence("楚王入楚", (Span(0, 1, "NS"), Span(1, 2, "NR"))),
        LabelledSentence("王去王", (Span(0, 1, "NS"),)),
    ]
    found = build_lexicon(examples)
    assert found.type_counts == {"楚": {"NS": 1}, "王": {"NR": 1, "NS": 1}}
    assert found.occurrence_counts == {"楚": 2, "王": 3}


@given(rows(), st.floats(-5, 5))
def test_the_rule_by_regions_goes_through_the_same_door(row, weight):
    rule = RegionRule(weight)
    assert rule.decide(row) == rule.fuse(row.slm, row.llm)
    assert rule.stop_mask(row.slm) is not None
    assert len(rule.block_entropy(row.slm)) == len(row.text)
    assert RegionRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@given(rows(), st.integers(0, 3), st.integers(0, 3))
def test_a_framed_answer_is_certain_that_nothing_stands_around_it(row, before, after):
    framed = row.slm.pad(before, after)
    n = len(row.text)
    np.testing.assert_array_equal(framed.log_probs[before : before + n], row.slm.log_probs)
    around = np.concatenate([framed.log_probs[:before], framed.log_probs[before + n :]])
    assert (around[:, 0] == 0).all()
    assert (around[:, 1:] < LOG_PROB_FLOOR).all()
    assert bmes_labels(TYPES)[0] == "O"


@pytest.mark.slow
def test_the_threshold_is_the_one_of_the_highest_f1(llm_knows_places):
    """Half of the places that the LLM alone puts are none: each is as likely as not, and F1 wants them all the same."""
    some = [
        dataclasses.replace(row, gold=row.gold if i % 8 < 4 else tuple(s for s in row.gold if s.type != "NS"))
        for i, row in enumerate(llm_knows_places)
    ]
    rule = span_rule.fit_span_rule(some, TYPES, LEXICON, ridge=0.1)

    def f1(threshold):
        other = dataclasses.replace(rule, threshold=threshold)
        found = [[d.span for d in other.decide(row)] for row in some]
        return micro_score(count_entities([row.gold for row in some], found, TYPES)).f1

    assert f1(rule.threshold) == pytest.approx(max(f1(t) for t in np.linspace(0.1, 0.9, 161)), abs=1e-9)


def test_the_penalty_is_3_unless_told_otherwise(llm_knows_places):
    fitted = {
        ridge: span_rule.fit_span_rule(llm_knows_places, TYPES, LEXICON, ridge=ridge).weights
        for ridge in (1.0, 3.0, 4.0)
    }
    assert span_rule.fit_span_rule(llm_knows_places, TYPES, LEXICON).weights == fitted[3.0]
    assert len(set(fitted.values())) == 3


@pytest.mark.parametrize("ridge", [0.1, 3.0, 100.0])
def test_the_mean_probability_is_the_share_that_is_right(llm_knows_places, ridge):
    """The penalty all but spares the constant."""
    rule = span_rule.fit_span_rule(llm_knows_places, TYPES, LEXICON, ridge=ridge)
    chances, right = [], []
    for row in llm_knows_places:
        spans = candidate_spans(row, TYPES)
        chances += span_rule.candidate_probs(row, spans, rule).tolist()
        right += [span in row.gold for span in spans]
    assert np.mean(chances) == pytest.approx(np.mean(right), abs=1e-3)


def ranked(row, rule):
    """The candidates of a segment, best first, without those that overlap a better one, with their probabilities."""
    spans = candidate_spans(row, rule.types)
    return rank_nonoverlapping(spans, candidate_probs(row, spans, rule))


def greedy_threshold(some, rule):
    """The threshold of a rule that fits some segments."""
    spans = [candidate_spans(row, rule.types) for row in some]
    probs = [candidate_probs(row, own, rule) for row, own in zip(some, spans, strict=True)]
    return choose_acceptance_threshold(spans, probs, [row.gold for row in some])


def weighing(constant=0.0, **weights):
    return SpanRule(TYPES, (constant, *(weights.get(name, 0.0) for name in feature_names(TYPES))), LEXICON)


def test_a_threshold_worked_by_hand():
    """Three right ones of six: the best two alone have an F1 of 4/5, all six one of 6/9."""
    entity = Span(0, 1, "NR")
    judged = [(0.9, True), (0.8, True), (0.7, False), (0.7, False), (0.7, False), (0.6, True)]
    some = [one("楚", (entity,), (), (entity,) if right else (), certainty) for certainty, right in judged]
    rule = weighing(**{"SLM log p min": 1.0})  # so the odds of each are its certainty
    assert greedy_threshold(some, rule) == pytest.approx((0.8 / 1.8 + 0.7 / 1.7) / 2)


def test_a_threshold_shuts_out_the_last_alone():
    entity = Span(0, 1, "NR")
    some = [
        one("楚", (entity,), (), (entity,) if right else (), certainty)
        for certainty, right in [(0.9, True), (0.8, False)]
    ]
    found = greedy_threshold(some, weighing(**{"SLM log p min": 1.0}))
    assert found == pytest.approx((0.9 / 1.9 + 0.8 / 1.8) / 2)


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_nothing_is_certain(logit):
    row = one("楚", (Span(0, 1, "NR"),), (), ())
    (chance,) = span_rule.candidate_probs(row, row.slm.spans, weighing(logit))
    assert min(chance, 1 - chance) == pytest.approx(1 / (1 + math.exp(30)), rel=0.01, abs=0)


def test_candidates_of_the_same_probability_keep_their_order():
    spans = tuple(Span(i, i + 1, ("NR", "NS")[i % 2]) for i in range(64))
    row = one("楚" * 64, spans, (), ())
    found = ranked(row, weighing(**{"type NS": 1.0}))
    assert [span for span, _ in found] == [*spans[1::2], *spans[::2]]
