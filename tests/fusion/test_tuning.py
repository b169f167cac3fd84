"""The vectorised search says of every lambda exactly what fusing and scoring would say."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion import weight_search
from rayner.fusion.conflict_regions import (
    ENTROPY_REDUCTIONS,
    LLM_CONFIDENCES,
    LLM_REDUCTIONS,
    find_agreements_and_conflicts,
)
from rayner.fusion.fusion_rule import FittingSample, RuleFit
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out
from rayner.fusion.weight_search import choose_middle_of_best_weights, compute_f1_curve, tabulate_conflicts
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.report.synthetic import rows as synthetic_rows
from tests.strategies import TYPES, floats32, spans_in, votes

REDUCTIONS = [*itertools.product(ENTROPY_REDUCTIONS, LLM_REDUCTIONS, LLM_CONFIDENCES)]
# 0 and the values at which S_S and S_L tie where H and P are 0 or 1; and a grid.
WEIGHTS = np.array(sorted({0.0, 1.0, -1.0, 1 / np.e, -3.0, -1 / np.e, 5.0, *np.linspace(-2, 1.5, 29)}))


@st.composite
def scored_rows(draw, max_rows=4):
    """Labelled segments with both models' answers; gold repeats now and then what a model says."""
    out = []
    for i in range(draw(st.integers(0, max_rows))):
        slm, llm = draw(votes())
        n_chars = len(slm.entropy)
        gold = draw(st.one_of(spans_in(n_chars), st.just(slm.spans), st.just(llm.spans)))
        out.append(SegmentPrediction(f"d{i}", 0, n_chars, "字" * n_chars, slm, llm, gold))
    return out


def f1_by_fusing(rows, rule):
    """The F1 of a rule by the long way: fuse every row, count, score."""
    fused = [[decision.span for decision in rule.fuse(row.slm, row.llm)] for row in rows]
    return micro_score(count_entities([row.gold for row in rows], fused, TYPES)).f1


@given(scored_rows())
@pytest.mark.parametrize("how", REDUCTIONS, ids="-".join)
def test_the_curve_equals_fusing_and_scoring_at_each_weight(how, rows):
    curve = compute_f1_curve(tabulate_conflicts(rows, RegionRule(0.0, *how).measure_entropy_and_llm_prob), WEIGHTS)
    assert curve.tolist() == [f1_by_fusing(rows, RegionRule(float(weight), *how)) for weight in WEIGHTS]


@pytest.mark.parametrize("how", REDUCTIONS, ids="-".join)
def test_the_curve_of_a_corpus_with_many_conflicts_equals_fusing_and_scoring(how):
    rows = synthetic_rows(30, seed=3)
    types = sorted({span.type for row in rows for span in (*row.gold, *row.slm.spans, *row.llm.spans)})
    weights = np.linspace(-1.5, 1, 41)
    curve = compute_f1_curve(tabulate_conflicts(rows, RegionRule(0.0, *how).measure_entropy_and_llm_prob), weights)
    expected = []
    for weight in weights:
        fused = [[d.span for d in RegionRule(float(weight), *how).fuse(row.slm, row.llm)] for row in rows]
        expected.append(micro_score(count_entities([row.gold for row in rows], fused, types)).f1)
    assert curve.tolist() == expected
    assert len(set(expected)) > 5, "lambda must matter here, else this shows nothing"


@given(scored_rows(), st.sampled_from(REDUCTIONS))
def test_every_conflict_region_is_one_row_and_agreed_entities_are_counted_once(rows, how):
    found = tabulate_conflicts(rows, RegionRule(0.0, *how).measure_entropy_and_llm_prob)
    compared = [find_agreements_and_conflicts(row.slm.spans, row.llm.entities) for row in rows]
    assert len(found.slm_confidence) == len(found.llm_prob) == sum(len(regions) for _, regions in compared)
    assert found.agreed_counts[1] == sum(len(agreed) for agreed, _ in compared)
    assert found.n_gold == sum(len(row.gold) for row in rows)
    assert found.slm_counts[:, 1].sum() + found.agreed_counts[1] == sum(len(row.slm.spans) for row in rows)
    assert found.llm_counts[:, 1].sum() + found.agreed_counts[1] == sum(len(row.llm.entities) for row in rows)
    assert (found.llm_prob <= 1).all()


@given(scored_rows(), st.sampled_from(REDUCTIONS), st.floats(-5, 5))
def test_the_weight_of_the_rule_plays_no_part(rows, how, weight):
    curves = [
        compute_f1_curve(tabulate_conflicts(rows, RegionRule(w, *how).measure_entropy_and_llm_prob), WEIGHTS).tolist()
        for w in (0.0, weight)
    ]
    assert curves[0] == curves[1]


def one_conflict():
    """The SLM is right, at 1 - H = 0.5; the LLM is wrong, at P = 0, so that S_L is lambda."""
    slm = SlmPrediction((Span(0, 1, "NR"),), floats32([0.5]))
    llm = LlmAnswer((LlmEntity(Span(0, 1, "NS"), 0.0, 0.0),), floats32([0.0, 0.0]))
    return SegmentPrediction("d", 0, 1, "字", slm, llm, (Span(0, 1, "NR"),))


def test_the_slm_wins_a_tie():
    curve = compute_f1_curve(
        tabulate_conflicts([one_conflict()], RegionRule(0.0).measure_entropy_and_llm_prob),
        np.array([0.499, 0.5, 0.501]),
    )
    assert curve.tolist() == [1.0, 1.0, 0.0]


def test_without_rows_every_f1_is_0_and_the_middle_is_chosen():
    found = tabulate_conflicts([], RegionRule(0.0).measure_entropy_and_llm_prob)
    assert (found.agreed_counts, found.n_gold, found.slm_counts.shape, found.llm_counts.shape) == (
        (0, 0),
        0,
        (0, 2),
        (0, 2),
    )
    curve = compute_f1_curve(found, np.array([-1.0, 0.0, 1.0]))
    assert curve.tolist() == [0.0, 0.0, 0.0]
    assert choose_middle_of_best_weights(np.array([-1.0, 0.0, 1.0]), curve) == (0.0, 0.0)


def test_without_conflicts_the_curve_is_flat_at_the_f1_of_what_both_say():
    spans = (Span(0, 1, "NR"), Span(1, 2, "NS"))
    llm = LlmAnswer(tuple(LlmEntity(span, 0.9, 0.9) for span in spans), floats32([1, 1, 1]))
    row = SegmentPrediction("d", 0, 2, "字字", SlmPrediction(spans, floats32([0, 0])), llm, spans[:1])
    found = tabulate_conflicts([row, row], RegionRule(0.0).measure_entropy_and_llm_prob)
    assert len(found.slm_confidence) == 0
    assert compute_f1_curve(found, WEIGHTS).tolist() == [2 * 2 / (4 + 2)] * len(WEIGHTS)


def test_a_row_without_an_answer_of_the_llm_is_refused_by_name():
    row = SegmentPrediction("some-doc", 3, 5, "字字", SlmPrediction((), floats32([0, 0])))
    with pytest.raises(ValueError, match=r"some-doc \[3, 5\)"):
        tabulate_conflicts([row], RegionRule(0.0).measure_entropy_and_llm_prob)


@pytest.mark.parametrize(
    ("f1", "weight"),
    [
        ([0, 1, 0, 0, 0], 1),
        ([1, 0, 1, 1, 1], 3),  # the longest stretch, not the first
        ([1, 1, 1, 0, 1], 1),
        ([1, 1, 0, 1, 1], 0),  # of equally long ones the first; of an even one the lower middle
        ([0.5, 0.5, 0.5, 0.5, 0.2], 1),
        ([0, 0, 0, 0, 1], 4),
        ([1, 1 - 1e-15, 1, 0, 0], 1),  # equal but for rounding
        ([0, 0, 0, 0, 0], 2),
    ],
)
def test_the_middle_of_the_longest_plateau_is_chosen(f1, weight):
    weights = np.arange(5) / 10
    assert choose_middle_of_best_weights(weights, np.array(f1, dtype=float)) == (weight / 10, f1[weight])


def test_a_single_weight_is_chosen():
    assert choose_middle_of_best_weights(np.array([0.3]), np.array([0.7])) == (0.3, 0.7)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30))
def test_no_stretch_of_the_maximum_is_longer_than_that_of_the_chosen_weight(f1):
    weight, best = choose_middle_of_best_weights(np.arange(len(f1), dtype=float), np.array(f1))
    assert best == max(f1)
    runs = [(value, len(list(group))) for value, group in itertools.groupby(f1)]
    longest = max(length for value, length in runs if value == best)
    left = int(weight)
    assert f1[left] == best
    before = len(list(itertools.takewhile(lambda value: value == best, reversed(f1[:left]))))
    after = len(list(itertools.takewhile(lambda value: value == best, f1[left + 1 :])))
    assert before + 1 + after == longest
    assert 0 <= after - before <= 1


def test_many_lambdas_are_compared_a_part_at_a_time(monkeypatch):
    found = tabulate_conflicts(synthetic_rows(10, seed=3), RegionRule(0.0).measure_entropy_and_llm_prob)
    whole = compute_f1_curve(found, WEIGHTS)
    monkeypatch.setattr(weight_search, "_MAX_COMPARISONS", 2 * len(found.slm_confidence))
    assert compute_f1_curve(found, WEIGHTS).tolist() == whole.tolist()


class RecordingRule:
    """A rule that records the texts it is fitted on, and those that each fit decides on."""

    def __init__(self, fitted_on, judged_by, fold=None):
        self.fitted_on, self.judged_by, self.fold = fitted_on, judged_by, fold

    def fit(self, sample):
        self.fitted_on.append({segment.text for segment in sample.segments})
        return RuleFit(RecordingRule(self.fitted_on, self.judged_by, len(self.fitted_on) - 1))

    def hold_out_tags_of(self, segment, sample):
        return self

    def decide(self, segment):
        self.judged_by.append((segment.text, self.fold))
        return []

    def decide_all(self, segments):
        return [self.decide(segment) for segment in segments]


def judged(rows, seed):
    """The texts that each fold's rule was fitted on, and for each row in turn the fold whose rule judged it."""
    rule = RecordingRule([], [])
    decide_held_out(rule, FittingSample(rows, TYPES, Lexicon({}, {}), {}, WEIGHTS, 1.0), folds=4, seed=seed)
    return rule.fitted_on, rule.judged_by


def test_no_segment_is_judged_by_a_rule_that_has_seen_its_text_and_the_folds_depend_on_the_seed():
    rows = [SegmentPrediction("d", i, i + 1, chr(0x4E00 + i % 12), SlmPrediction((), floats32([0]))) for i in range(24)]
    chosen_on, by = judged(rows, 1)
    assert sorted(text for text, _ in by) == sorted(row.text for row in rows)
    assert all(text not in chosen_on[fold] for text, fold in by)
    assert judged(rows, 1) == (chosen_on, by) != judged(rows, 2)
