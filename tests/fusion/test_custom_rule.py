"""Rules of the user's own: they choose among candidates, see no gold when they decide, and cannot break the gate."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayner.errors import ConfigError
from rayner.fusion import gate
from rayner.fusion.custom_rule import FittedCustomRule
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_features import candidate_spans
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out
from rayner.steps.fusion_rules import load_custom_rule
from rayner.text.spans import Span, sort_and_check_spans
from tests.fusion.test_span_rule import one, rows
from tests.strategies import TYPES

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LONGEST = """
    from rayner.fusion.learned.span_features import candidate_spans
    from rayner.fusion.custom_rule import CustomRule

    TYPES = ("NR", "NS", "T")

    def fit(rows, types):
        return {"gold": sum(len(row.gold) for row in rows), "types": types}

    def accept(row, fitted):
        assert row.gold == ()
        chosen = []
        for span in sorted(candidate_spans(row, fitted["types"]), key=lambda s: s.start - s.end):
            if not any(span.overlaps(other) for other in chosen):
                chosen.append(span)
        return chosen

    def can_change(row, fitted):
        assert row.llm is None and row.gold == () and fitted["types"]
        return len(row.text) % 2 == 0

    LONGEST = CustomRule(fit, accept, can_change)
    UNGATED = CustomRule(fit, accept)
    retyped = lambda row, fitted: [type(s)(s.start, s.end, "X") for s in row.slm.spans]
    ODD = CustomRule(lambda rows, types: {1, 2}, retyped)
    TWICE = CustomRule(fit, lambda row, fitted: [*row.slm.spans, *row.llm.spans])
    FLOAT = CustomRule(lambda rows, types: float("nan"), accept)
"""


def rule_of(name, fitted=None):
    name = f"own_rule:{name}"
    return FittedCustomRule(name, load_custom_rule(name), TYPES, fitted)


def sample_of(segments):
    return FittingSample(segments, TYPES, Lexicon({}, {}), {}, np.zeros(1), 1.0)


@pytest.fixture
def longest(own_module):
    own_module("own_rule", LONGEST)
    return rule_of("LONGEST", {"gold": 0, "types": [*TYPES]})


@SHARED
@given(row=rows())
def test_decisions_are_the_rules_where_its_gate_is_open_and_the_small_models_where_not(longest, row):
    found = longest.decide(row)
    spans = [decision.span for decision in found]
    if len(row.text) % 2:
        assert found == RegionRule(0.0).fuse(row.slm, None)
        return
    assert sort_and_check_spans(spans, len(row.text)) == tuple(spans)
    own, theirs = set(row.slm.spans), set(row.llm.spans)
    for left in set(candidate_spans(row, TYPES)) - set(spans):
        assert any(s.overlaps(left) and s.end - s.start >= left.end - left.start for s in spans)
    for decision in found:
        who = {(True, True): "agree", (False, True): "llm"}.get((decision.span in own, decision.span in theirs), "slm")
        assert (decision.decided_by, decision.llm_consulted, decision.rule_prob) == (who, True, None)


@SHARED
@given(row=rows(), other=rows())
def test_where_the_gate_is_shut_no_llm_answer_changes_anything(longest, row, other):
    if not longest.could_change(row):
        assert longest.decide(row) == longest.decide(dataclasses.replace(row, llm=None))


@given(row=rows())
@SHARED
def test_without_a_gate_the_llm_is_asked_about_everything(longest, row):
    rule = rule_of("UNGATED", longest.fitted)
    assert rule.could_change(row)
    assert rule.stop_mask(row.slm) is None
    assert rule.block_entropy(row.slm).tolist() == gate.block_entropy(row.slm, "max").tolist()


@SHARED
@given(some=st.lists(rows(), min_size=1, max_size=3))
def test_what_fit_finds_is_read_back_from_json(longest, some):
    rule = rule_of("LONGEST").fit(sample_of(some)).rule
    assert rule.fitted == {"gold": sum(len(row.gold) for row in some), "types": [*TYPES]}
    tree = json.loads(json.dumps(rule.to_json()))
    assert FittedCustomRule.from_json(tree, name=rule.name, functions=rule.functions, types=TYPES) == rule


def test_it_is_judged_on_what_it_was_not_fitted_on(longest):
    some = [one(f"{char}王", (Span(0, 2, "NR"),), (), (Span(0, 2, "NR"),)) for char in "楚秦趙魏"]
    found = decide_held_out(recording := Recording(longest), sample_of(some), folds=4, seed=0)
    assert [len(own) for own in found] == [1] * 4
    assert [rule.fitted["gold"] for rule in recording.fitted] == [3] * 4


class Recording:
    """A rule that remembers what it was fitted to."""

    def __init__(self, rule):
        self.rule, self.fitted = rule, []

    def fit(self, sample):
        fit = self.rule.fit(sample)
        self.fitted.append(fit.rule)
        return fit


def test_spans_that_nobody_put_and_overlapping_ones_are_refused(longest):
    row = one("楚王怒去", (Span(0, 1, "NR"),), (Span(0, 2, "NR"),), ())
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected of own_rule:ODD spans among the candidates, found Span"
    ):
        rule_of("ODD", longest.fitted).decide(row)
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected of own_rule:TWICE spans without overlaps, found: Span"
    ):
        rule_of("TWICE", longest.fitted).decide(row)


@pytest.mark.parametrize("name", ["ODD", "FLOAT"])
def test_what_json_cannot_hold_is_refused(longest, name):
    with pytest.raises(
        ConfigError, match=rf"^fusion.rules: expected a JSON value from fit of own_rule:{name}, found: "
    ):
        rule_of(name).fit(sample_of([]))


def test_what_is_no_rule_is_refused(longest):
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected a CustomRule, found own_rule:accept of type function"
    ):
        load_custom_rule("own_rule:accept")


def test_a_rule_travels_to_other_processes_by_its_name(longest):
    again = pickle.loads(pickle.dumps(longest))
    assert again == longest
    assert b"own_rule:LONGEST" in pickle.dumps(longest.functions)
    assert b"accept" not in pickle.dumps(longest.functions)
