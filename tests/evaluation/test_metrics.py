from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation import metrics
from rayner.evaluation.metrics import (
    Score,
    bootstrap_f1_interval,
    count_entities,
    f1_difference_with_bootstrap_interval,
    macro_f1,
    micro_score,
    score_by_type,
    score_token_classes,
)
from rayner.text.spans import Span
from tests.strategies import LABELS, TYPES, spans_in

GOLD = [
    [Span(0, 2, "NR"), Span(3, 4, "NS")],
    [],
    [Span(0, 1, "NR"), Span(1, 3, "NR"), Span(5, 6, "NS")],
]
PREDICTED = [
    [Span(0, 2, "NR"), Span(3, 5, "NS")],  # one right, one too long
    [Span(7, 8, "NS")],  # one invented
    [Span(0, 1, "NS"), Span(1, 3, "NR")],  # one of the wrong type, one right, one missed
]
KINDS = ("NB", "NR", "NS")


def test_counts_are_strict_and_by_sentence_and_type():
    counts = count_entities(GOLD, PREDICTED, KINDS)
    assert (counts.shape, counts.dtype) == ((3, 3, 3), np.int64)
    assert counts[0].tolist() == [[0, 0, 0], [1, 1, 1], [0, 1, 1]]
    assert counts[1].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert counts[2].tolist() == [[0, 0, 0], [1, 1, 2], [0, 1, 1]]


def test_micro_macro_and_per_type_scores_worked_by_hand():
    counts = count_entities(GOLD, PREDICTED, KINDS)
    assert micro_score(counts) == Score(right=2, predicted=5, gold=5)
    assert micro_score(counts).f1 == pytest.approx(0.4)
    assert score_by_type(counts, KINDS) == {"NB": Score(0, 0, 0), "NR": Score(2, 2, 3), "NS": Score(0, 3, 2)}
    assert macro_f1(counts) == pytest.approx((0.8 + 0.0) / 2)  # NB occurs nowhere


def test_precision_recall_and_f1_worked_by_hand():
    score = Score(right=3, predicted=4, gold=6)
    assert (score.precision, score.recall) == (0.75, 0.5)
    assert score.f1 == pytest.approx(2 * 0.75 * 0.5 / (0.75 + 0.5))


def test_scores_are_0_where_there_is_nothing_to_count():
    assert (Score(0, 0, 0).precision, Score(0, 0, 0).recall, Score(0, 0, 0).f1) == (0.0, 0.0, 0.0)
    assert Score(0, 2, 0).recall == Score(0, 0, 2).precision == 0.0
    empty = count_entities([], [], KINDS)
    assert (micro_score(empty), macro_f1(empty)) == (Score(0, 0, 0), 0.0)


def test_a_type_that_is_only_predicted_or_only_gold_counts_in_the_macro():
    counts = count_entities([[Span(0, 1, "NR"), Span(1, 2, "NB")]], [[Span(0, 1, "NR"), Span(2, 3, "NS")]], KINDS)
    assert macro_f1(counts) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("gold", "predicted"), [([[]], []), ([], [[]])])
def test_different_numbers_of_sentences_are_refused(gold, predicted):
    with pytest.raises(ValueError, match="zip"):
        count_entities(gold, predicted, KINDS)


sentences = st.lists(st.tuples(spans_in(8), spans_in(8)), max_size=6)


@given(sentences)
def test_scores_agree_with_sets_of_entities(pairs):
    counts = count_entities([gold for gold, _ in pairs], [predicted for _, predicted in pairs], TYPES)
    gold = {(i, span) for i, (spans, _) in enumerate(pairs) for span in spans}
    predicted = {(i, span) for i, (_, spans) in enumerate(pairs) for span in spans}
    assert micro_score(counts) == Score(len(gold & predicted), len(predicted), len(gold))
    for kind, score in score_by_type(counts, TYPES).items():
        want, got = ({item for item in items if item[1].type == kind} for items in (gold, predicted))
        assert score == Score(len(want & got), len(got), len(want))


@given(sentences)
def test_a_perfect_answer_scores_1_and_an_empty_one_0(pairs):
    gold = [spans for spans, _ in pairs]
    if any(gold):
        assert micro_score(count_entities(gold, gold, TYPES)).f1 == macro_f1(count_entities(gold, gold, TYPES)) == 1.0
    nothing = count_entities(gold, [[] for _ in gold], TYPES)
    assert micro_score(nothing).f1 == macro_f1(nothing) == 0.0


def plain_token_macro(gold, predicted):
    """Macro precision, recall and F1 by their definitions, over the classes that occur."""
    scores = []
    for class_ in {*gold, *predicted}:
        right = sum(g == p == class_ for g, p in zip(gold, predicted, strict=True))
        found, wanted = predicted.count(class_), gold.count(class_)
        precision = Fraction(right, found) if found else Fraction(0)
        recall = Fraction(right, wanted) if wanted else Fraction(0)
        scores.append((precision, recall, 2 * precision * recall / (precision + recall) if right else Fraction(0)))
    return [float(sum(column) / len(scores)) for column in zip(*scores, strict=True)] or [0.0, 0.0, 0.0]


def drop_o_class(gold, predicted):
    names = {*gold, *predicted} - {"O"}
    scores = []
    for class_ in names:
        right = sum(g == p == class_ for g, p in zip(gold, predicted, strict=True))
        found, wanted = predicted.count(class_), gold.count(class_)
        scores.append((right / found if found else 0, right / wanted if wanted else 0, 2 * right / (found + wanted)))
    return [sum(column) / len(names) for column in zip(*scores, strict=True)] or [0.0, 0.0, 0.0]


def f1_of_class(class_, gold, predicted):
    right = sum(g == p == class_ for g, p in zip(gold, predicted, strict=True))
    return 2 * right / (gold.count(class_) + predicted.count(class_))


def macro(score):
    return [score.precision, score.recall, score.f1]


tag_pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), max_size=30)


@given(st.lists(tag_pairs, max_size=4))
def test_token_scores_agree_with_the_definitions(pairs):
    gold = [[g for g, _ in sentence] for sentence in pairs]
    predicted = [[p for _, p in sentence] for sentence in pairs]
    scores = score_token_classes(gold, predicted, seed=0, rounds=5)
    tags = [g for sentence in gold for g in sentence], [p for sentence in predicted for p in sentence]
    types = [[tag.partition("-")[2] or "O" for tag in part] for part in tags]
    assert macro(scores.tags_with_o) == pytest.approx(plain_token_macro(*tags))
    assert macro(scores.tags_without_o) == pytest.approx(drop_o_class(*tags))
    assert macro(scores.types_with_o) == pytest.approx(plain_token_macro(*types))
    assert macro(scores.types_without_o) == pytest.approx(drop_o_class(*types))


def test_token_scores_worked_by_hand():
    gold = [["O", "O", "B-NR", "E-NR"], ["S-NS"]]
    predicted = [["O", "S-NR", "B-NR", "E-NR"], ["O"]]
    scores = score_token_classes(gold, predicted, seed=0)
    # Tags. O: P 1/2, R 1/2. B-NR and E-NR: 1, 1. S-NR and S-NS: 0, 0.
    assert macro(scores.tags_with_o) == pytest.approx([2.5 / 5, 2.5 / 5, 2.5 / 5])
    assert macro(scores.tags_without_o) == pytest.approx([2 / 4, 2 / 4, 2 / 4])
    # Types. NR: P 2/3, R 1, F1 4/5. NS: 0.
    assert macro(scores.types_with_o) == pytest.approx([(1 / 2 + 2 / 3) / 3, (1 / 2 + 1) / 3, (1 / 2 + 4 / 5) / 3])
    assert macro(scores.types_without_o) == pytest.approx([1 / 3, 1 / 2, 2 / 5])


def test_a_character_counts_for_its_type_whatever_its_prefix():
    scores = score_token_classes([["B-NR", "E-NR"]], [["S-NR", "S-NR"]], seed=0)
    assert macro(scores.types_without_o) == [1.0, 1.0, 1.0]
    assert macro(scores.tags_without_o) == [0.0, 0.0, 0.0]


def test_token_scores_of_texts_without_entities_are_1_with_o_and_0_without():
    scores = score_token_classes([["O"] * 3], [["O"] * 3], seed=0)
    assert (scores.tags_with_o.f1, scores.tags_without_o.f1) == (1.0, 0.0)
    assert scores.tags_with_o.interval == (1.0, 1.0)
    empty = score_token_classes([], [], seed=0)
    assert {macro_score.f1 for macro_score in empty.by_name().values()} == {0.0}
    assert score_token_classes([[]], [[]], seed=0) == empty


@pytest.mark.parametrize("predicted", [[["O"]], [["O", "O"], []], [["O"], ["O"]]])
def test_token_scores_refuse_different_lengths(predicted):
    with pytest.raises(ValueError, match=r"2 gold tags but [12] predicted"):
        score_token_classes([["O", "O"]], predicted, seed=0)


def test_the_interval_of_a_token_score_is_the_bootstrap_over_sentences():
    """Drawn and scored sentence by sentence; a class that is not drawn keeps its F1 on all sentences."""
    rng = np.random.default_rng(5)
    gold = [[str(tag) for tag in rng.choice(LABELS, 6)] for _ in range(12)]
    predicted = [[tag if rng.random() < 0.7 else "O" for tag in tags] for tags in gold]
    scores = score_token_classes(gold, predicted, seed=3, rounds=40)
    joined = [[tag for tags in part for tag in tags] for part in (gold, predicted)]
    whole = {class_: f1_of_class(class_, *joined) for class_ in {*joined[0], *joined[1]}}
    expected, n_absent = [], 0
    for draw in metrics._count_sentence_draws(12, 3, 40):
        rows = [i for i, n in enumerate(draw) for _ in range(n)]
        drawn = [[tag for i in rows for tag in part[i]] for part in (gold, predicted)]
        drawn_f1 = {class_: f1_of_class(class_, *drawn) for class_ in whole if class_ in {*drawn[0], *drawn[1]}}
        f1 = whole | drawn_f1
        expected.append((np.mean([*f1.values()]), np.mean([f1[class_] for class_ in f1 if class_ != "O"])))
        n_absent += len(f1) - len(drawn_f1)
    assert n_absent > 0
    for found, values in zip((scores.tags_with_o, scores.tags_without_o), zip(*expected, strict=True), strict=True):
        assert found.interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
        assert found.interval[0] < found.f1 < found.interval[1]


def test_a_rare_mistake_does_not_lift_the_interval_above_the_score():
    """S-NS is predicted once, wrongly. Without it every class would be right."""
    gold = [["S-NR", "O"]] * 40
    predicted = [["S-NR", "S-NS"], *gold[1:]]
    score = score_token_classes(gold, predicted, seed=0).tags_without_o
    assert score.f1 == 1 / 2
    assert score.interval == (1 / 2, 1 / 2)


def system(seed, skill, n_sentences=150):
    """Counts of a system that finds each of three entities a sentence with probability `skill`."""
    rng = np.random.default_rng(seed)
    right = (rng.random((n_sentences, 3)) < skill).sum(axis=1)
    counts = np.zeros((n_sentences, 1, 3), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 1], counts[:, 0, 2] = right, 3, 3
    return counts


@given(st.integers(0, 1000), st.floats(0.2, 0.9))
def test_an_interval_contains_the_point_estimate(seed, skill):
    counts = system(seed, skill)
    low, high = bootstrap_f1_interval(counts, seed=seed, rounds=200)
    assert 0 <= low < micro_score(counts).f1 < high <= 1


def test_an_interval_is_about_as_wide_as_theory_has_it():
    # 450 independent entities: F1 is the mean of 450 coin tosses here.
    low, high = bootstrap_f1_interval(system(1, 0.7), seed=0)
    assert high - low == pytest.approx(2 * 1.96 * (0.7 * 0.3 / 450) ** 0.5, rel=0.2)


def test_an_interval_narrows_with_a_lower_level():
    counts = system(1, 0.7)
    low, high = bootstrap_f1_interval(counts, seed=0)
    inner_low, inner_high = bootstrap_f1_interval(counts, seed=0, level=0.5)
    assert low < inner_low < inner_high < high


def test_intervals_depend_on_the_seed_alone():
    ours, theirs = system(1, 0.7), system(2, 0.6)

    def measured(seed):
        metrics._count_sentence_draws.cache_clear()  # or the second measurement would only repeat the first
        return bootstrap_f1_interval(ours, seed=seed), f1_difference_with_bootstrap_interval(ours, theirs, seed=seed)

    assert len({measured(5) for _ in range(5)}) == 1  # two may agree by chance
    assert all(a != b for a, b in zip(measured(5), measured(6), strict=True))


@given(sentences.filter(bool), st.integers(0, 1000))
def test_a_paired_interval_of_a_system_with_itself_is_0(pairs, seed):
    counts = count_entities([gold for gold, _ in pairs], [predicted for _, predicted in pairs], TYPES)
    assert f1_difference_with_bootstrap_interval(counts, counts, seed=seed, rounds=20) == (0.0, 0.0, 0.0)


def test_a_paired_interval_contains_the_difference_and_tells_which_is_better():
    better, worse = system(1, 0.8), system(2, 0.6)
    difference, low, high = f1_difference_with_bootstrap_interval(better, worse, seed=0)
    assert difference == pytest.approx(micro_score(better).f1 - micro_score(worse).f1)
    assert 0 < low < difference < high
    back, back_low, back_high = f1_difference_with_bootstrap_interval(worse, better, seed=0)
    assert (back, back_low, back_high) == pytest.approx((-difference, -high, -low))


def test_a_paired_interval_is_narrower_than_that_of_two_systems_apart():
    """The same sentences are drawn for both: what they share cancels out."""
    ours = system(1, 0.7)
    theirs = ours.copy()
    theirs[:3, 0, 0] = 0
    _, low, high = f1_difference_with_bootstrap_interval(ours, theirs, seed=0)
    alone_low, alone_high = bootstrap_f1_interval(ours, seed=0)
    assert high - low < (alone_high - alone_low) / 2


def test_intervals_without_sentences_are_0():
    empty = count_entities([], [], KINDS)
    assert bootstrap_f1_interval(empty, seed=0) == (0.0, 0.0)
    assert f1_difference_with_bootstrap_interval(empty, empty, seed=0) == (0.0, 0.0, 0.0)


def test_an_interval_leaves_as_much_on_either_side():
    counts, n = system(1, 0.6), 4000
    inner, outer = (
        bootstrap_f1_interval(counts, seed=1, rounds=n, level=0.5),
        bootstrap_f1_interval(counts, seed=1, rounds=n, level=0.98),
    )
    middle = bootstrap_f1_interval(counts, seed=1, rounds=n, level=0.0)[0]
    for low, high in (inner, outer):
        assert middle - low == pytest.approx(high - middle, rel=0.2)
    assert bootstrap_f1_interval(counts, seed=1) == bootstrap_f1_interval(counts, seed=1, rounds=2000, level=0.95)
    other = system(2, 0.5)
    assert f1_difference_with_bootstrap_interval(counts, other, seed=1) == f1_difference_with_bootstrap_interval(
        counts, other, seed=1, rounds=2000, level=0.95
    )


def test_a_single_entity_that_is_right_gives_an_interval_at_1():
    counts = count_entities([[Span(0, 1, "NR")]], [[Span(0, 1, "NR")]], TYPES)
    assert bootstrap_f1_interval(counts, seed=1) == (1.0, 1.0)
    scores = score_token_classes([["S-NR"]], [["O"]], seed=1)
    assert {score.f1 for score in scores.by_name().values()} == {0.0}


def test_an_interval_is_of_2000_rounds_unless_told_otherwise():
    """Of sentences so different that no two draws have the same F1."""
    counts = np.random.default_rng(1).integers(1, 10**6, (50, 1, 3))
    assert bootstrap_f1_interval(counts, seed=1) == bootstrap_f1_interval(counts, seed=1, rounds=2000)
    assert bootstrap_f1_interval(counts, seed=1) != bootstrap_f1_interval(counts, seed=1, rounds=2001)
