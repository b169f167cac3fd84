"""Rules of the user's own: they choose among candidates, see no gold when they decide, and cannot break the gate."""

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayner.errors import ConfigError
from rayner.fusion import custom_rule, gate
from rayner.fusion.custom_rule import FittedCustomRule
from rayner.fusion.deciding import block_entropy, chosen, decide, llm_could_change, stop_mask
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.regions import fuse_by_regions
from rayner.fusion.span_features import candidate_spans
from rayner.fusion.tuning import decide_held_out
from rayner.text.spans import Span, sort_and_check_spans
from tests.fusion.test_span_rule import one, rows
from tests.strategies import TYPES

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LONGEST = """
    from rayner.fusion.span_features import candidates
    from rayner.fusion.custom_rule import CustomRule

    TYPES = ("NR", "NS", "T")

    def fit(rows, types):
        return {"gold": sum(len(row.gold) for row in rows), "types": types}

    def accept(row, fitted):
        assert row.gold == ()
        chosen = []
        for span in sorted(candidates(row, fitted["types"]), key=lambda s: s.start - s.end):
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


@pytest.fixture
def longest(own_module):
    own_module("own_rule", LONGEST)
    return FittedCustomRule("own_rule:LONGEST", TYPES, {"gold": 0, "types": [*TYPES]})


@SHARED
@given(row=rows())
def test_decisions_are_the_rules_where_its_gate_is_open_and_the_small_models_where_not(longest, row):
    found = decide(row, longest)
    spans = [decision.span for decision in found]
    if len(row.text) % 2:
        assert found == fuse_by_regions(row.slm, None, RegionRule(0.0))
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
    if not llm_could_change(row, longest):
        assert decide(row, longest) == decide(dataclasses.replace(row, llm=None), longest)


@given(row=rows())
@SHARED
def test_without_a_gate_the_llm_is_asked_about_everything(longest, row):
    rule = dataclasses.replace(longest, name="own_rule:UNGATED")
    assert llm_could_change(row, rule)
    assert stop_mask(row.slm, rule) is None
    assert block_entropy(row.slm, rule).tolist() == gate.block_entropy(row.slm, "max").tolist()


@SHARED
@given(some=st.lists(rows(), min_size=1, max_size=3))
def test_what_fit_finds_is_read_back_from_json(longest, some):
    rule = custom_rule.fit("own_rule:LONGEST", some, TYPES)
    assert rule.fitted == {"gold": sum(len(row.gold) for row in some), "types": [*TYPES]}
    fusion = json.loads(
        json.dumps({"chosen": rule.name, "spans": {"types": TYPES}, "custom": {rule.name: rule.fitted}})
    )
    assert chosen(fusion) == rule


def test_it_is_judged_on_what_it_was_not_fitted_on(longest):
    some = [one(f"{char}王", (Span(0, 2, "NR"),), (), (Span(0, 2, "NR"),)) for char in "楚秦趙魏"]
    fitted = []

    def choose(others):
        fitted.append(custom_rule.fit("own_rule:LONGEST", others, TYPES))
        return fitted[-1]

    assert [len(own) for own in decide_held_out(some, choose, folds=4, seed=0)] == [1] * 4
    assert [rule.fitted["gold"] for rule in fitted] == [3] * 4


def test_spans_that_nobody_put_and_overlapping_ones_are_refused(longest):
    row = one("楚王怒去", (Span(0, 1, "NR"),), (Span(0, 2, "NR"),), ())
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected of own_rule:ODD spans among the candidates, found Span"
    ):
        decide(row, dataclasses.replace(longest, name="own_rule:ODD"))
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected of own_rule:TWICE spans without overlaps, found: Span"
    ):
        decide(row, dataclasses.replace(longest, name="own_rule:TWICE"))


@pytest.mark.parametrize("name", ["ODD", "FLOAT"])
def test_what_json_cannot_hold_is_refused(longest, name):
    with pytest.raises(
        ConfigError, match=rf"^fusion.rules: expected a JSON value from fit of own_rule:{name}, found: "
    ):
        custom_rule.fit(f"own_rule:{name}", [], TYPES)


def test_what_is_no_rule_is_refused(longest):
    with pytest.raises(
        ConfigError, match=r"^fusion.rules: expected a CustomRule, found own_rule:accept of type function"
    ):
        custom_rule.code("own_rule:accept")
