"""The budget: what is learned from held-out scores rises with entropy, and a threshold lets its share through."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.ner.budget import Budget, f1_by_share, fit, order, overturned
from rayner.ner.fusion import fuse
from rayner.ner.gate import open_until
from rayner.ner.metrics import count, micro
from rayner.ner.rule import Rule
from rayner.ner.scores import LlmAnswer, LlmSpan, Scored, SlmScore
from rayner.ner.spans import Span
from tests.strategies import TYPES, floats32, rules, votes

sentences = st.lists(votes(), min_size=1, max_size=12).map(
    lambda all_votes: [Scored("dev", 0, len(slm.entropy), "楚" * len(slm.entropy), slm, llm) for slm, llm in all_votes]
)


@given(sentences, rules())
def test_the_more_entropy_the_more_is_expected_to_be_overturned(rows, rule):
    budget = fit(rows, rule)
    assert budget.entropy == sorted(budget.entropy)
    assert budget.overturned == sorted(budget.overturned)
    assert all(0 <= share <= 1 for share in budget.overturned)
    assert budget.worth == sorted(budget.worth, reverse=True)


@given(sentences, rules())
def test_over_the_held_out_sentences_as_many_tags_are_expected_as_were_overturned(rows, rule):
    budget = fit(rows, rule)
    changed = sum(int(overturned(row, rule).sum()) for row in rows)
    flat = Budget(budget.entropy, budget.overturned, [])
    found = sum(
        float(np.asarray(flat.overturned)[np.searchsorted(flat.entropy, h, side="right") - 1])
        for row in rows
        for h in block_values(row, rule)
    )
    assert found == pytest.approx(changed, abs=1e-6)


def block_values(row, rule):
    from rayner.ner.gate import block_entropy

    return block_entropy(row.slm, rule.entropy)


@given(sentences, rules())
def test_nothing_is_expected_where_the_gate_is_shut_and_such_sentences_come_last(rows, rule):
    budget = fit(rows, rule)
    for row in rows:
        if not open_until(row.slm, rule):
            assert budget.expected(row, rule) == 0
    found, passed = order(rows, rule, budget)
    assert sorted(found) == list(range(len(rows)))
    assert [bool(open_until(rows[i].slm, rule)) for i in found] == [True] * passed + [False] * (len(rows) - passed)


def test_a_threshold_lets_about_its_share_through():
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(400):
        entropy = (rng.uniform(0, 2) * rng.uniform(0, 1, 6)).astype(np.float32)
        hit = int(entropy.argmax())
        spans = (LlmSpan(Span(hit, hit + 1, "NR"), 0.9, 0.9),) if rng.random() < entropy.max() / 2 else ()
        rows.append(Scored("dev", 0, 6, "楚" * 6, SlmScore((), entropy), LlmAnswer(spans, floats32([0.9] * 7))))
    rule = Rule(0.3)
    budget = fit(rows, rule)
    for share in (0.1, 0.2, 0.5):
        asked = sum(budget.expected(row, rule) > budget.threshold(share) for row in rows)
        assert asked / len(rows) == pytest.approx(share, abs=0.06)
    # What a fifth of the sentences overturns is more than a fifth of all that is overturned.
    found, _ = order(rows, rule, budget)
    changed = np.array([len(fuse(rows[i].slm, rows[i].llm, rule)) for i in found])
    assert changed[:80].sum() > 1.3 * changed.sum() / 5


def test_without_held_out_sentences_there_is_no_budget():
    with pytest.raises(ValueError, match="held-out"):
        fit([], Rule(0.3))


@given(sentences, rules())
def test_f1_at_each_share_is_that_of_asking_about_so_many_and_stays_behind_the_exact_gate(rows, rule):
    rows = [replace(row, gold=row.llm.plain if i % 2 else row.slm.spans) for i, row in enumerate(rows)]
    budget = fit(rows, rule)
    found, passed = f1_by_share(rows, rule, budget)
    first, _ = order(rows, rule, budget)
    assert len(found) == len(rows) + 1
    for n, f1 in enumerate(found):
        asked = {*first[:n]}
        answers = [[d.span for d in fuse(r.slm, r.llm if i in asked else None, rule)] for i, r in enumerate(rows)]
        assert f1 == micro(count([r.gold for r in rows], answers, TYPES)).f1
    assert set(found[passed:]) == {found[passed]}
