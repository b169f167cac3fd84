"""Both rules behind one door: what the learned one decides, and its threshold by search over all there are."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.learned import span_rule
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_features import feature_names
from rayner.fusion.learned.span_rule import SpanRule, accept_candidates, candidate_probs
from rayner.fusion.region_rule import RegionRule
from rayner.text.predictions import SlmPrediction
from rayner.text.spans import Span
from tests.fusion.test_span_rule import LEXICON, greedy_threshold, one, ranked, rows, span_rules
from tests.strategies import TYPES, floats32

COLUMNS = feature_names(TYPES)


def rule_of(threshold=0.5, constant=0.0, **weights):
    return SpanRule(TYPES, (constant, *(weights.get(name, 0.0) for name in COLUMNS)), LEXICON, threshold)


def test_decisions_of_a_learned_rule_tell_who_put_them_and_how_likely_they_are():
    both, own, theirs = Span(0, 1, "NR"), Span(1, 2, "NR"), Span(2, 3, "NS")
    row = one("楚王怒去", (both, own), (both, theirs), ())
    found = rule_of(constant=1.0).decide(row)
    assert [(d.span, d.decided_by) for d in found] == [(both, "agree"), (own, "slm"), (theirs, "llm")]
    assert all(d.llm_consulted and d.rule_prob == pytest.approx(1 / (1 + math.exp(-1))) for d in found)
    assert [(d.slm_type, d.llm_type) for d in found] == [("NR", "NR"), ("NR", None), (None, "NS")]


def test_a_learned_rule_reads_all_of_an_answer_and_doubts_by_the_highest_entropy():
    slm = SlmPrediction((Span(0, 2, "NR"),), floats32([0.5, 1.5, 0.25]))
    assert rule_of().stop_mask(slm) is None
    assert rule_of().block_entropy(slm).tolist() == [1.5, 1.5, 0.25]
    assert RegionRule(1.0, entropy_reduction="mean").block_entropy(slm).tolist() == [1.0, 1.0, 0.25]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("above", [True, False])
def test_the_gate_of_a_learned_rule_is_shut_below_its_threshold(threshold, above):
    row = one("楚王", (), (), ())
    edge = math.log(threshold / (1 - threshold))
    assert rule_of(threshold, edge + (1e-4 if above else -1e-4)).could_change(row) is above
    assert rule_of(threshold, edge).could_change(row)  # rounding may go either way: ask
    assert rule_of(threshold, -20.0).could_change(one("楚王", (Span(0, 1, "NR"),), (), ()))


@pytest.mark.parametrize(
    ("logit", "chance"), [(math.log(3), 0.75), (-30, math.exp(-30)), (-99, math.exp(-30)), (99, 1)]
)
def test_a_probability_is_the_logistic_function_of_the_weighted_columns(logit, chance):
    row = one("楚王", (), (Span(0, 1, "NR"),), ())
    (found,) = candidate_probs(row, [Span(0, 1, "NR")], rule_of(constant=logit / 2, LLM=logit / 2))
    assert found == pytest.approx(chance, rel=1e-9)


def test_of_two_that_are_as_likely_the_first_is_taken_and_at_the_threshold_none():
    first, second = Span(0, 2, "NR"), Span(1, 3, "NR")
    row = one("楚王怒", (), (first,), ())
    row = dataclasses.replace(row, slm=dataclasses.replace(row.slm, spans=(second,)))
    assert [span for span, _ in ranked(row, rule_of())] == [first]
    assert accept_candidates(row, rule_of(0.5)) == []
    assert accept_candidates(row, rule_of(0.49)) == [(first, 0.5)]


def test_a_string_that_was_never_seen_is_written_as_never_seen():
    rule = dataclasses.replace(rule_of(), lexicon=Lexicon({"楚": {"NS": 1}}, {}))
    assert rule.to_json()["lexicon"] == {"楚": [0, {"NS": 1}]}


@given(st.lists(rows(), min_size=1, max_size=4), span_rules())
def test_no_threshold_has_a_higher_f1_and_the_best_lies_in_the_middle_between_two_candidates(some, rule):
    def f1(threshold):
        found = [
            [span for span, _ in accept_candidates(row, dataclasses.replace(rule, threshold=threshold))] for row in some
        ]
        return micro_score(count_entities([row.gold for row in some], found, TYPES)).f1

    chances = sorted({chance for row in some for _, chance in ranked(row, rule)})
    if not chances:
        return
    found = greedy_threshold(some, rule)
    assert 0.1 <= found <= 0.9
    edges = [0.0, *chances]
    middles = [(a + b) / 2 for a, b in zip(edges, chances, strict=False)]
    best = max(f1(middle) for middle in middles)
    if not best:
        return
    if found in middles:
        assert f1(found) == best
    else:  # cut, from a middle beyond
        assert found in (0.1, 0.9)
        assert any(f1(m) == best for m in middles if (m < 0.1 if found == 0.1 else m > 0.9))


def test_of_what_is_always_wrong_nothing_is_learned_but_to_doubt():
    span = Span(0, 1, "NR")
    some = [one("楚王" + chr(0x4E00 + i), (), (span,), ()) for i in range(20)]
    rule = span_rule.fit_span_rule(some, TYPES, LEXICON)
    assert rule.threshold == 0.9 or all(rule.decide(row) == [] for row in some)
    assert rule == span_rule.fit_span_rule(some, TYPES, LEXICON, ridge=3.0)


def test_without_candidates_the_rule_is_a_constant_doubt():
    rule = span_rule.fit_span_rule([one("楚王", (), (), ())], TYPES, LEXICON)
    assert rule.weights == (-1.0, *[0.0] * len(COLUMNS))
    assert rule.threshold == 0.5


def test_no_weight_on_the_llms_certainty_is_negative_and_what_is_always_the_same_weighs_nothing():
    """The LLM is the surer the more it errs."""
    span, some = Span(0, 1, "NR"), []
    for i in range(60):
        sure = 0.6 + 0.3 * (i % 2)
        row = one("楚王" + chr(0x4E00 + i), (), (span,), () if i % 2 else (span,), sure)
        some.append(row)
    rule = span_rule.fit_span_rule(some, TYPES, LEXICON, ridge=0.1)
    for name in ("LLM decisions", "LLM least decision", "LLM category", "LLM boundary"):
        assert rule.named_weights[name] >= 0
    assert rule.named_weights["both"] == rule.named_weights["length 2"] == rule.named_weights["type NS"] == 0
    assert rule.named_weights["constant"] == rule.weights[0]


def test_each_sentence_is_judged_by_the_lexicon_it_may_see():
    """One of `a` with a lexicon of its own, which does not know the string; the rest with the one for all."""
    span = Span(0, 1, "NS")
    some = [
        dataclasses.replace(one("楚王" + chr(0x4E00 + i), (), (span,), (span,) if i % 2 else ()), doc_id="ab"[i % 2])
        for i in range(40)
    ]
    apart = span_rule.fit_span_rule(some, TYPES, LEXICON, ridge=0.1, fold_lexicons={"a": Lexicon({}, {})})
    assert apart.named_weights["never tagged"] < 0 < apart.named_weights["tagged so"]
    assert apart.lexicon == LEXICON
    together = span_rule.fit_span_rule(some, TYPES, LEXICON, ridge=0.1)
    assert together.named_weights["never tagged"] == together.named_weights["tagged so"] == 0
    assert np.isfinite(together.weights).all()
