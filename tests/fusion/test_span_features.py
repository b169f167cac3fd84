"""Columns of a candidate by hand, and the bound on a linear rule: as high as the best candidate, not higher."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.fusion.learned.lexicon import Lexicon, build_lexicon
from rayner.fusion.learned.span_bound import max_score_over_llm_answers
from rayner.fusion.learned.span_features import (
    CANDIDATE_SCORE_FEATURES,
    LOG_PROB_FLOOR,
    candidate_spans,
    compute_span_features,
    entity_label_log_probs,
    feature_names,
)
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import CandidateScore, LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.fusion.test_span_rule import LEXICON, distributions
from tests.strategies import LABELS, TYPES, entropies, floats32, texts, vectors

COLUMNS = feature_names(TYPES)
OF_LLM = [name for name in COLUMNS if "LLM" in name or name == "both"]
SENTENCE = "去楚懷王入秦"
LONG = Lexicon({**LEXICON.type_counts, SENTENCE: {"NB": 4}}, {**LEXICON.occurrence_counts, SENTENCE: 4})


def told(row, span, known=LEXICON):
    """The columns of one candidate by their names."""
    return dict(zip(COLUMNS, compute_span_features(row, [span], TYPES, known)[0].tolist(), strict=True))


def three(own=(), theirs=(), decisions=(1, 1, 1, 1)):
    """懷王楚, where the small model gives NR's labels 0.5, 0.25 and, as a single one, 0.125; others nothing."""
    log_probs = np.full((3, len(LABELS)), -30, dtype=np.float32)
    for i, label, p in ((0, "B-NR", 0.5), (1, "E-NR", 0.25), (2, "S-NR", 0.125), (1, "M-NR", 0.75), (2, "E-NR", 0.5)):
        log_probs[i, LABELS.index(label)] = math.log(p)
    slm = SlmPrediction(own, floats32([0.5, 1.5, 0.25]), log_probs)
    return SegmentPrediction("d", 0, 3, "懷王楚", slm, LlmAnswer(theirs, floats32(decisions)))


def test_what_the_small_model_says_of_a_candidate():
    found = told(three(), Span(0, 2, "NR"))
    assert (found["H mean"], found["H max"]) == (1.0, 1.5)
    assert found["SLM log p min"] == pytest.approx(math.log(0.25))
    assert found["SLM log p mean"] == pytest.approx(math.log(0.5 * 0.25) / 2)
    assert found["SLM logit"] == pytest.approx(math.log(1 / 3))
    assert told(three(), Span(2, 3, "NR"))["SLM log p mean"] == pytest.approx(math.log(0.125))
    assert told(three(), Span(0, 3, "NR"))["SLM log p mean"] == pytest.approx(math.log(0.5 * 0.75 * 0.5) / 3)


@pytest.mark.parametrize("kind", ["NS", "ZZ"])  # of a type with next to no probability, and of one it does not know
def test_what_the_small_model_holds_for_impossible_is_at_the_floor(kind):
    found = compute_span_features(three(), [Span(0, 2, kind)], TYPES, LEXICON)[0]
    said = dict(zip(COLUMNS, found.tolist(), strict=True))
    assert (said["H mean"], said["H max"]) == (1.0, 1.5)
    assert (said["SLM log p min"], said["SLM log p mean"], said["SLM logit"]) == (LOG_PROB_FLOOR, LOG_PROB_FLOOR, -9.0)


def test_what_the_llm_says_of_a_candidate():
    llm = (LlmEntity(Span(0, 2, "NR"), 0.5, 0.25),)
    found = told(three(theirs=llm, decisions=(0.5, 1, 0.25, 0.125)), Span(0, 2, "NR"))
    assert found["LLM decisions"] == pytest.approx(math.log(0.5 * 0.25))
    assert found["LLM least decision"] == pytest.approx(math.log(0.25))
    assert (found["LLM category"], found["LLM boundary"]) == pytest.approx((math.log(0.5), math.log(0.25)))
    silent = told(three(decisions=(0, 0, 0, 0)), Span(0, 3, "NR"))
    assert (silent["LLM category"], silent["LLM boundary"]) == (0, 0)
    assert silent["LLM decisions"] == pytest.approx(4 * LOG_PROB_FLOOR)
    assert silent["LLM least decision"] == pytest.approx(LOG_PROB_FLOOR)


def scored(*odds, kind="NR"):
    """What the columns of scores say of 懷王 as an entity of a type, where it was scored as a person."""
    row = three()
    row = replace(row, llm=replace(row.llm, candidate_scores=(CandidateScore(Span(0, 2, "NR"), *odds),)))
    found = compute_span_features(row, [Span(0, 2, kind)], TYPES, LEXICON, candidate_scores=True)[0].tolist()
    names = feature_names(TYPES, candidate_scores=True)
    return [dict(zip(names, found, strict=True))[name] for name in CANDIDATE_SCORE_FEATURES]


def test_what_the_llm_thinks_of_a_candidate_that_it_did_not_predict():
    whole = math.prod(1 / (1 + math.exp(-value)) for value in (1.0, -2.0, 3.0, 0.5))
    assert scored(1.0, -2.0, 3.0, 0.5) == pytest.approx([1.0, -2.0, 3.0, 0.5, math.log(whole / (1 - whole))])
    assert scored(30.0, 30.0, 30.0, 30.0) == [9.0] * 5
    assert scored(-30.0, 30.0, -30.0, 9.5) == [-9.0, 9.0, -9.0, 9.0, -9.0]


def test_a_candidate_that_was_not_scored_has_even_odds():
    assert scored(5.0, 5.0, 5.0, 5.0, kind="NS") == [0.0] * 5


def test_scores_stand_in_the_place_of_the_probabilities_of_the_llms_own_entities():
    names = feature_names(TYPES, candidate_scores=True)
    assert set(names) - set(COLUMNS) == set(CANDIDATE_SCORE_FEATURES)
    assert set(COLUMNS) - set(names) == {"LLM category", "LLM boundary"}


@pytest.mark.parametrize("name", CANDIDATE_SCORE_FEATURES)
@pytest.mark.parametrize("weight", [2.0, -2.0])
def test_whatever_score_the_llm_may_give_is_within_bounds(name, weight):
    names = feature_names(TYPES, candidate_scores=True)
    weights = np.array([weight if each == name else 0.0 for each in names])
    assert max_score_over_llm_answers(three(), TYPES, LEXICON, weights, candidate_scores=True) == 18


SIDES = ("SLM", "LLM", "both", "SLM otherwise", "LLM otherwise", "SLM otherwise, same type", "LLM otherwise, same type")


@pytest.mark.parametrize(
    ("own", "theirs", "expected"),
    [
        ((), (), (0, 0, 0, 0, 0, 0, 0)),
        ((Span(0, 2, "NR"),), (), (1, 0, 0, 0, 0, 0, 0)),
        ((), (Span(0, 2, "NR"),), (0, 1, 0, 0, 0, 0, 0)),
        ((Span(0, 2, "NR"),), (Span(0, 2, "NR"),), (1, 1, 1, 0, 0, 0, 0)),
        ((Span(1, 3, "NR"),), (Span(0, 2, "NR"),), (0, 1, 0, 1, 0, 1, 0)),
        ((Span(0, 2, "NR"),), (Span(1, 2, "NS"),), (1, 0, 0, 0, 1, 0, 0)),
        ((Span(0, 1, "NS"), Span(1, 2, "NR")), (Span(0, 3, "NR"),), (0, 0, 0, 1, 1, 1, 1)),
        ((Span(2, 3, "NR"),), (Span(2, 3, "NR"),), (0, 0, 0, 0, 0, 0, 0)),
    ],
    ids=["none", "own", "theirs", "both", "own another", "their type another", "longer and shorter", "elsewhere"],
)
def test_who_puts_a_candidate_or_something_in_its_place(own, theirs, expected):
    llm = tuple(LlmEntity(span, 0.5, 0.5) for span in theirs)
    found = told(three(own, llm), Span(0, 2, "NR"))
    assert tuple(found[name] for name in SIDES) == expected


def test_length_and_type_are_flags():
    for span, length in ((Span(0, 1, "NS"), 1), (Span(0, 2, "NS"), 2), (Span(0, 3, "NS"), 3)):
        found = told(three(), span)
        assert [found[f"length {n}"] for n in (1, 2, 3, 4)] == [float(n == length) for n in (1, 2, 3, 4)]
        assert [found[f"type {kind}"] for kind in TYPES] == [float(kind == "NS") for kind in TYPES]


def test_what_the_lexicon_says_of_a_candidate():
    found = told(three(), Span(0, 2, "NR"))  # 懷王: tagged thrice, twice so; three places
    assert found["tagged so"] == pytest.approx(math.log(3))
    assert found["tagged otherwise"] == pytest.approx(math.log(2))
    assert found["share of its places tagged so"] == pytest.approx(2.5 / 4)
    assert found["share of its tags"] == pytest.approx(2 / 3)
    assert found["never tagged"] == 0
    unknown = told(three(), Span(1, 3, "NR"))
    assert [unknown[name] for name in ("tagged so", "tagged otherwise", "share of its places tagged so")] == [0, 0, 0]
    assert (unknown["share of its tags"], unknown["never tagged"]) == (0.5, 1)


def test_the_lexicon_counts_each_time():
    found = build_lexicon(
        [
            LabelledSentence("楚伐楚楚", (Span(0, 1, "NS"), Span(2, 3, "NS"))),
            LabelledSentence("懷王楚", (Span(0, 2, "NR"),)),
        ]
    )
    assert found.type_counts == {"楚": {"NS": 2}, "懷王": {"NR": 1}}
    assert found.occurrence_counts == {"楚": 4, "懷王": 1}


# ---- the bound


def weighing(**weights):
    return np.array([weights.get(name, 0.0) for name in COLUMNS])


def every_span(n):
    return [Span(i, j, kind) for i in range(n) for j in range(i + 1, n + 1) for kind in TYPES]


@st.composite
def undecided(draw, max_size=7):
    """A text in which the small model puts nothing, and the LLM nothing for certain."""
    text = draw(st.one_of(texts(max_size), st.just(SENTENCE)))
    slm = SlmPrediction((), draw(vectors(entropies, len(text))), draw(distributions(len(text))))
    return SegmentPrediction("d", 0, len(text), text, slm, LlmAnswer((), np.ones(len(text) + 1, np.float32)))


@st.composite
def weights_but_the_llms(draw):
    drawn = draw(st.lists(st.floats(-3, 3), min_size=len(COLUMNS), max_size=len(COLUMNS)))
    return np.array([0.0 if name in OF_LLM else value for name, value in zip(COLUMNS, drawn, strict=True)])


@given(undecided(5), weights_but_the_llms())
def test_what_the_small_model_and_the_lexicon_say_is_looked_up_for_every_span(row, weights):
    """A text no longer than the lexicon's longest string, so that no span is beyond it."""
    if row.text:
        best = (compute_span_features(row, every_span(len(row.text)), TYPES, LONG) @ weights).max()
        assert max_score_over_llm_answers(row, TYPES, LONG, weights) == pytest.approx(best, abs=1e-6)


@given(undecided(), weights_but_the_llms())
def test_longer_spans_are_below_the_bound_too(row, weights):
    if row.text:
        found = compute_span_features(row, every_span(len(row.text)), TYPES, LEXICON) @ weights
        assert (found <= max_score_over_llm_answers(row, TYPES, LEXICON, weights) + 1e-6).all()


@given(
    st.lists(st.sampled_from([0.9, 0.3, 1e-3, 0.0]), min_size=3, max_size=3),
    st.floats(0, 3),
    weights_but_the_llms(),
    st.booleans(),
)
def test_for_longer_spans_the_bound_is_reached_where_all_characters_are_alike(chances, entropy, weights, falling):
    """`length 4` is made to count so much that only spans of four and more matter."""
    log_probs = np.full((6, len(LABELS)), -30, dtype=np.float32)
    for k, p in enumerate(chances):
        log_probs[:, 1 + 4 * k : 4 + 4 * k] = -30 if falling or not p else math.log(p)
    for name in ("SLM log p min", "SLM log p mean", "SLM logit"):
        i = COLUMNS.index(name)
        weights[i] = -abs(weights[i]) if falling else abs(weights[i])
    weights[COLUMNS.index("length 4")] = 500.0
    slm = SlmPrediction((), floats32([entropy] * 6), log_probs)
    row = SegmentPrediction("d", 0, 6, "怒去之怒去之", slm, LlmAnswer((), np.ones(7, np.float32)))
    best = (compute_span_features(row, every_span(6), TYPES, LEXICON) @ weights).max()
    assert max_score_over_llm_answers(row, TYPES, LEXICON, weights) == pytest.approx(best, abs=1e-4)


@given(
    st.lists(entropies, min_size=6, max_size=6),
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.lists(st.sampled_from([-20.0, -3.0, -0.5]), min_size=9, max_size=9),
    st.floats(-2, 2),
)
def test_beyond_the_lexicon_the_extremes_of_the_text_count(entropy, mean, most, cells, logit):
    log_probs = np.full((6, len(LABELS)), -30, dtype=np.float32)
    for i, value in enumerate(cells):
        log_probs[i % 6, 1 + 4 * (i // 3) + i % 3] = value
    weights = weighing(**{"H mean": mean, "H max": most, "SLM logit": logit, "length 4": 500.0, "type NR": 0.25})
    row = SegmentPrediction("d", 0, 6, "怒去之怒去之", SlmPrediction((), floats32(entropy), log_probs))
    low, high = min(row.slm.entropy), max(row.slm.entropy)

    def odds(value):
        return max(-9.0, value - math.log(-math.expm1(value)))

    tops = {kind: max(LOG_PROB_FLOOR, *cells[3 * k : 3 * k + 3]) for k, kind in enumerate(TYPES)}
    best = max((0.25 if kind == "NR" else 0) + max(-9 * logit, odds(top) * logit) for kind, top in tops.items())
    expected = 500 + max(mean * low, mean * high) + max(most * low, most * high) + best
    assert max_score_over_llm_answers(row, TYPES, LEXICON, weights) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("LLM", 0, 1),
        ("LLM otherwise", 0, 1),
        ("LLM otherwise, same type", 0, 1),
        ("LLM decisions", 8 * LOG_PROB_FLOOR, 0),
        ("LLM least decision", LOG_PROB_FLOOR, 0),
        ("LLM category", LOG_PROB_FLOOR, 0),
        ("LLM boundary", LOG_PROB_FLOOR, 0),
    ],
)
def test_whatever_the_llm_may_say_is_within_bounds(name, low, high):
    row = three()
    assert max_score_over_llm_answers(row, TYPES, LEXICON, weighing(**{name: 2.0})) == 2 * high
    assert max_score_over_llm_answers(row, TYPES, LEXICON, weighing(**{name: -2.0})) == -2 * low
    together = weighing(**{name: -2.0, "LLM": 1.0, "length 2": 3.0})
    assert max_score_over_llm_answers(row, TYPES, LEXICON, together) == 4 + (0 if name == "LLM" else -2 * low)


def test_a_text_without_characters_has_no_candidate_and_one_without_distributions_is_refused():
    nothing = SlmPrediction((), np.zeros(0, np.float32), np.zeros((0, len(LABELS)), np.float32))
    assert (
        max_score_over_llm_answers(SegmentPrediction("d", 0, 0, "", nothing), TYPES, LEXICON, weighing()) == -math.inf
    )
    with pytest.raises(ValueError, match=r"d \[3, 4\): expected the small model's distributions"):
        max_score_over_llm_answers(
            SegmentPrediction("d", 3, 4, "楚", SlmPrediction((), floats32([0]))), TYPES, LEXICON, weighing()
        )


def test_labels_of_a_span_in_order():
    log_probs = np.arange(3 * len(LABELS), dtype=np.float32).reshape(3, -1)
    first = 1 + 4 * TYPES.index("NR")
    found = entity_label_log_probs(log_probs, Span(0, 3, "NR"), TYPES)
    assert found.tolist() == [first, 13 + first + 1, 26 + first + 2]
    assert entity_label_log_probs(log_probs, Span(1, 2, "NR"), TYPES).tolist() == [13 + first + 3]


def one_label(label, value, n=6):
    """Characters all alike, of which the small model holds but one label for possible."""
    log_probs = np.full((n, len(LABELS)), -30, dtype=np.float32)
    log_probs[:, LABELS.index(label)] = value
    return SegmentPrediction("d", 0, n, "怒" * n, SlmPrediction((), floats32([0] * n), log_probs))


@pytest.mark.parametrize("label", LABELS[1:])
def test_beyond_the_lexicon_any_label_counts_but_that_of_a_single_character(label):
    weights = weighing(**{"SLM logit": 1.0, "length 4": 500.0})
    odds = -9.0 if label.startswith("S") else -0.5 - math.log(-math.expm1(-0.5))
    assert max_score_over_llm_answers(one_label(label, -0.5), TYPES, LEXICON, weights) == pytest.approx(500 + odds)


def test_the_least_likely_label_is_that_of_the_span_and_not_of_its_neighbour():
    log_probs = np.full((4, len(LABELS)), -30, dtype=np.float32)
    for i, label, value in ((0, "B-NR", -1), (1, "M-NR", -1), (2, "E-NR", -1), (2, "M-NR", -10)):
        log_probs[i, LABELS.index(label)] = value
    row = SegmentPrediction("d", 0, 4, "怒去之怒", SlmPrediction((), floats32([0] * 4), log_probs))
    assert max_score_over_llm_answers(row, TYPES, LEXICON, weighing(**{"SLM log p min": 1.0, "length 3": 50.0})) == 49


def test_the_decisions_on_a_long_span_stay_within_the_bound():
    row = replace(one_label("O", 0.0, 9), llm=LlmAnswer((), floats32([0] * 10)))
    assert told(row, Span(0, 9, "NR"))["LLM decisions"] == 8 * LOG_PROB_FLOOR


@pytest.mark.parametrize("certain", [0.0, 1e-7, -1e-12])  # rounding may lift a logarithm above 0
def test_the_logit_of_what_is_certain_is_cut(certain):
    row = replace(one_label("S-NR", certain, 1), llm=LlmAnswer((), floats32([1, 1])))
    assert told(row, Span(0, 1, "NR"))["SLM logit"] == 9.0


def test_a_string_that_mostly_stands_untagged_has_a_small_share_of_its_places():
    found = told(three(), Span(2, 3, "NS"))  # 楚: tagged thrice, all so; nine places
    assert found["share of its places tagged so"] == pytest.approx(3.5 / 10)


def test_without_an_answer_of_the_llm_the_candidates_are_the_small_models():
    found = candidate_spans(replace(three((Span(0, 2, "NR"),)), llm=None), TYPES)
    assert found == [Span(0, 2, "NR"), Span(0, 3, "NR"), Span(2, 3, "NR")]
