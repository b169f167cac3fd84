"""The LLM-free control: fitted and judged with empty answers, whatever the LLM said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.evaluation.llm_worth import compare_with_control
from rayner.fusion.artifact import LoadedRules
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.conflict_regions import LLM_CONFIDENCES, LLM_REDUCTIONS
from rayner.fusion.control import LlmWorth, RuleWithoutLlm, give_empty_answer, with_empty_answer
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_rule import SpanRule, accept_candidates
from rayner.fusion.region_rule import RegionRule
from rayner.steps.fusion_search import build_searches, choose_rules
from rayner.steps.tag.llm_gate import Gate
from rayner.text.predictions import GateDecision, LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.fusion.test_gate import spans_of
from tests.report.synthetic import TYPES, label_log_probs
from tests.report.synthetic import rows as synthetic_rows
from tests.strategies import floats32, slm_scores


def make_rows(n=60, seed=0):
    """Segments with distinct texts."""
    rows = synthetic_rows(n, seed)
    return [replace(row, text=chr(0x4E00 + i) + row.text[1:]) for i, row in enumerate(rows)]


def sample_of(rows):
    lexicon = Lexicon({"懷王": {"NR": 3}, "咸陽": {"NS": 2}}, {"懷王": 3, "咸陽": 2})
    return FittingSample(rows, TYPES, lexicon, {}, np.linspace(-1.5, 1, 101), 3.0)


def search(rows):
    """The rules of both searches, as the step finds them, but without Ray."""
    searches = build_searches(sample_of(rows), {}, Config())
    return [choose_rules([each.run_trial(rule) for rule in each.candidates], Config()) for each in searches]


def without_information(rows):
    return [with_empty_answer(row) for row in rows]


def measure_llm_worth(rows, fusion, control):
    """The worth by the entities that the rules decide on."""
    fused = [spans_of(fusion.decide(row)) for row in rows]
    controlled = [spans_of(control.decide(row)) for row in without_information(rows)]
    return compare_with_control(rows, fused, controlled, TYPES, seed=3)


def test_an_empty_answer_has_no_span_and_all_decisions_are_1():
    row = replace(make_rows(1)[0], gate=GateDecision(ask_llm=True, could_change=False))
    empty = with_empty_answer(row)
    assert empty.llm.entities == ()
    assert empty.llm.slot_probs.tolist() == [1.0] * (len(row.text) + 1)
    assert empty.gate is None  # the gate decided for another rule
    assert (empty.slm, empty.gold, empty.text) == (row.slm, row.gold, row.text)


def test_a_segment_without_an_answer_keeps_none():
    row = replace(make_rows(1)[0], llm=None)
    assert with_empty_answer(row) is row


@given(st.integers(0, 8).flatmap(slm_scores), st.floats(-5, 5), st.sampled_from(["mean", "max"]))
def test_of_an_empty_answer_every_reduction_of_p_is_the_same(slm, weight, entropy_reduction):
    """So the search for the control tries one of them."""
    n_chars = len(slm.entropy)
    empty = with_empty_answer(SegmentPrediction("d", 0, n_chars, "字" * n_chars, slm, LlmAnswer((), floats32([]))))
    outputs = {
        spans_of(RegionRule(weight, entropy_reduction, reduction, confidence).decide(empty))
        for reduction in LLM_REDUCTIONS
        for confidence in LLM_CONFIDENCES
    }
    assert len(outputs) == 1


def test_the_control_is_the_same_whatever_the_llm_said():
    rows = make_rows()
    other = [replace(row, llm=later.llm) for row, later in zip(rows, make_rows(seed=9), strict=True)]
    (fusion, control), (other_fusion, other_control) = search(rows), search(other)
    assert control == other_control
    assert fusion != other_fusion, "the LLM must matter here, else this shows nothing"


def test_the_control_has_weights_lambda_and_choice_of_its_own():
    fusion, control = search(make_rows())
    assert control.span_rule.weights != fusion.span_rule.weights
    assert all(weight == 0 for name, weight in control.span_rule.named_weights.items() if name.startswith("LLM"))
    assert any(weight != 0 for name, weight in fusion.span_rule.named_weights.items() if name.startswith("LLM"))
    assert control.character_rule.weight != fusion.character_rule.weight
    assert control.region_rule.weight != fusion.region_rule.weight
    assert control.chosen == max(("regions", "spans"), key=control.held_out_f1.__getitem__)


def test_the_control_by_the_learned_rule_accepts_the_same_whether_its_own_gate_is_asked_or_not():
    control = search(make_rows())[1].span_rule
    for row in without_information(make_rows(30, seed=5)):
        assert spans_of(control.decide(row)) == tuple(span for span, _ in accept_candidates(row, control))


def loaded(tuned):
    return LoadedRules(tuned.region_rule, tuned.character_rule, tuned.region_rule, tuned.span_rule, tuned.document_rule)


def test_each_control_in_the_evaluation_decides_on_empty_answers():
    rows = make_rows(30, seed=5)
    fusion, control = map(loaded, search(make_rows()))
    result = evaluate_fusion(rows, fusion, control, TYPES, seed=3)
    for name, rule in (("characters", control.characters), ("regions", control.regions), ("spans", control.spans)):
        found = [spans_of(rule.decide(row)) for row in without_information(rows)]
        right = sum(len({*spans} & {*row.gold}) for spans, row in zip(found, rows, strict=True))
        micro = result.systems[f"control_{name}"].micro
        assert (micro.right, micro.predicted) == (right, sum(map(len, found)))
    assert result.systems["control"] == result.systems["control_regions"]
    assert result.systems["control"].micro != result.systems["slm"].micro
    assert result.systems["control_characters"].illegal is not None


def test_an_answer_that_says_nothing_is_worth_nothing():
    rows = without_information(make_rows(30, seed=5))
    fusion, control = map(loaded, search(without_information(make_rows())))
    worth = evaluate_fusion(rows, fusion, control, TYPES, seed=3).llm_worth
    assert (worth.difference, worth.interval) == (0.0, (0.0, 0.0))
    assert worth.fused_f1 == worth.control_f1


def test_an_llm_that_is_always_right_is_worth_what_the_fusion_gains_over_the_control():
    def sure(row):
        entities = tuple(LlmEntity(span, 1.0, 1.0) for span in row.gold)
        return replace(row, llm=LlmAnswer(entities, np.ones(len(row.text) + 1, np.float32)))

    fusion, control = map(loaded, search([sure(row) for row in make_rows()]))
    rows = [sure(row) for row in make_rows(30, seed=5)]
    result = evaluate_fusion(rows, fusion, control, TYPES, seed=3)
    assert result.llm_worth == measure_llm_worth(rows, fusion.chosen, control.chosen)
    assert result.llm_worth.interval[0] > 0
    assert result.paired["fused-control"][0] == pytest.approx(
        result.systems["fused"].micro.f1 - result.systems["control"].micro.f1
    )
    assert {"fused-control", "control-slm"} <= set(result.paired)


def test_sentences_without_an_answer_count_for_neither_side():
    spans = (Span(0, 1, "NR"),)
    slm = SlmPrediction(spans, floats32([3.0]), label_log_probs(spans, 1))
    row = SegmentPrediction("d", 0, 1, "楚", slm, None, spans)
    worth = measure_llm_worth([row], RegionRule(1.0), CharacterRule(1.0))
    assert worth == LlmWorth(1, 1.0, 1.0, 0.0, (0.0, 0.0))


def test_without_segments_the_worth_is_unknown():
    rule = SpanRule.unfitted(TYPES, Lexicon({}, {}))
    assert measure_llm_worth([], rule, rule) is None


@given(st.integers(1, 8).flatmap(slm_scores), st.floats(-5, 5))
def test_the_control_that_tags_reads_no_answer_and_asks_for_none(slm, weight):
    n_chars = len(slm.entropy)
    row = SegmentPrediction("d", 0, n_chars, "字" * n_chars, slm)
    answer = LlmAnswer((LlmEntity(Span(0, n_chars, "NR"), 1.0, 1.0),), np.ones(n_chars + 1, np.float32))
    rule = RuleWithoutLlm(RegionRule(weight))
    decided = rule.decide(row)
    assert decided == rule.decide(replace(row, llm=answer)) == RegionRule(weight).decide(give_empty_answer(row))
    assert {entity.llm_type for entity in decided} <= {None}
    for exact in (True, False):
        gate = Gate(rule, None, exact=exact, share=0.5)
        assert not gate.decide(row).ask_llm


def test_a_run_without_an_llm_searches_for_the_control_alone_and_finds_the_same():
    rows = make_rows()
    (alone,) = build_searches(sample_of(without_information(rows)), {}, load_config(None, ["llm.model=none"]))
    found = choose_rules([alone.run_trial(rule) for rule in alone.candidates], Config())
    assert found == search(rows)[1]


def test_an_evaluation_without_an_llm_is_that_of_the_control():
    rows = make_rows(30, seed=5)
    fusion, control = map(loaded, search(make_rows()))
    both = evaluate_fusion(rows, fusion, control, TYPES, seed=3)
    failed = replace(rows[0], slm=SlmPrediction((), rows[0].slm.entropy), llm=None, error="slm: gone")
    alone = evaluate_fusion([replace(row, llm=None) for row in rows], control, None, TYPES, seed=3)
    assert set(alone.systems) == {"slm", "fused", "fused_characters", "fused_regions", "fused_spans"}
    for name, system in alone.systems.items():
        assert system == both.systems[name.replace("fused", "control")]
    assert alone.paired["fused-slm"] == both.paired["control-slm"]
    assert (alone.regions, alone.disagreements, alone.llm_worth, alone.n_without_llm) == (None, (), None, 0)
    assert Evaluation.from_json(json.loads(json.dumps(alone.to_json())), "e") == alone
    assert evaluate_fusion([failed], control, None, TYPES, seed=3).systems["fused"].micro.predicted == 0
    assert RuleWithoutLlm(control.spans).decide(failed) == []


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.0095, 0.0498), "the LLM helps beyond chance"),
        ((-0.0095, 0.0498), "not distinguishable from chance"),
        ((-0.05, -0.01), "the LLM harms beyond chance"),
    ],
)
def test_the_worth_is_told_in_words_with_its_interval(interval, verdict):
    text = LlmWorth(100, 0.8, 0.7704, 0.0296, interval).describe()
    low, high = (f"{100 * value:+.2f}" for value in interval)
    assert text == (
        "fusion F1 80.00, the control without the LLM 77.04, so the LLM is worth +2.96 points (95% interval "
        f"{low} to {high}; {verdict})"
    )
