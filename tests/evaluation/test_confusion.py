"""What becomes of each entity: every one is counted once, and what is called right is what the metrics call right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.confusion import NO_ENTITY, OUTCOMES, classify_outcome, count_confusions, match_entities
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.text.spans import Span
from tests.strategies import TYPES, spans_in


@given(st.lists(st.tuples(spans_in(12), spans_in(12)), max_size=5))
def test_every_entity_is_counted_once(sentences):
    gold, predicted = [g for g, _ in sentences], [p for _, p in sentences]
    found = count_confusions(gold, predicted)
    wanted, given_ = sum(map(len, gold)), sum(map(len, predicted))
    assert sum(n for (ours, _), n in found.type_pairs.items() if ours != NO_ENTITY) == wanted
    assert sum(n for (_, theirs), n in found.type_pairs.items() if theirs != NO_ENTITY) == given_
    assert sum(found.outcomes.values()) == wanted
    assert {kind for _, kind in found.outcomes} <= set(OUTCOMES)


@given(st.lists(st.tuples(spans_in(12), spans_in(12)), max_size=5))
def test_right_is_what_the_metrics_call_right(sentences):
    gold, predicted = [g for g, _ in sentences], [p for _, p in sentences]
    found = count_confusions(gold, predicted)
    right = sum(n for (_, kind), n in found.outcomes.items() if kind == "right")
    assert right == micro_score(count_entities(gold, predicted, TYPES)).right


@given(spans_in(12))
def test_against_itself_all_is_right(spans):
    assert sorted(match_entities(spans, spans)) == [(span, span) for span in sorted(spans)]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (Span(2, 5, "NR"), "right"),
        (Span(2, 4, "NR"), "boundary"),
        (Span(2, 5, "NS"), "type"),
        (Span(4, 6, "NS"), "both"),
        (None, "missed"),
    ],
)
def test_outcomes_by_hand(predicted, expected):
    gold = Span(2, 5, "NR")
    assert classify_outcome(gold, predicted) == expected
    assert match_entities([gold], [predicted] if predicted else []) == [(gold, predicted)]


def test_the_likest_is_taken_and_the_other_is_spurious():
    gold, cut, other = Span(0, 4, "NR"), Span(0, 1, "NR"), Span(1, 4, "NS")
    assert match_entities([gold], [cut, other]) == [(gold, cut), (None, other)]
    found = count_confusions([[gold]], [[cut, other]])
    assert found.type_pairs == {("NR", "NR"): 1, (NO_ENTITY, "NS"): 1}


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([(0, 2, "NR")], [(0, 2, "NS"), (1, 3, "NR")], (0, 2, "NS")),  # the extent before the type
        ([(0, 4, "NR")], [(0, 3, "NS"), (3, 5, "NR")], (3, 5, "NR")),  # the type before the overlap
        ([(2, 6, "NR")], [(1, 3, "NR"), (3, 9, "NR")], (3, 9, "NR")),  # the longer overlap
        ([(2, 6, "NR")], [(0, 4, "NR"), (4, 8, "NR")], (0, 4, "NR")),  # the first
    ],
    ids=["extent", "type", "overlap", "first"],
)
def test_the_likest_by_hand(gold, predicted, expected):
    found = match_entities([Span(*g) for g in gold], [Span(*p) for p in predicted])
    assert found[0] == (Span(*gold[0]), Span(*expected))


@pytest.mark.parametrize(("gold", "predicted"), [([[]], []), ([], [[]])])
def test_different_numbers_of_sentences_are_refused(gold, predicted):
    with pytest.raises(ValueError, match="zip"):
        count_confusions(gold, predicted)
