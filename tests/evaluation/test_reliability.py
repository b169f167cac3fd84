"""Calibration as the report tells it."""

import dataclasses

import numpy as np
import pytest

from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.calibration import Calibration, calibration_features
from rayner.fusion.learned.logistic import fit_logistic_weights
from rayner.fusion.model_confidence import fit_confidence_weights, llm_confidences, slm_confidences
from rayner.fusion.region_rule import RegionRule
from rayner.text.tags import bmes_labels, spans_to_tags
from tests.report.synthetic import TYPES, rows

RULE = RegionRule(0.2)
KINDS = tuple(sorted(TYPES))


def with_distributions(row):
    """The row with a distribution that is as sure of its labels as its entropy is low."""
    labels = bmes_labels(KINDS)
    out = np.full((len(row.text), len(labels)), 0.01, dtype=np.float32)
    for i, tag in enumerate(spans_to_tags(row.slm.spans, len(row.text))):
        out[i, labels.index(tag)] = np.exp(-row.slm.entropy[i])
    log_probs = np.log(out / out.sum(axis=1, keepdims=True))
    return dataclasses.replace(row, slm=dataclasses.replace(row.slm, log_probs=log_probs))


@pytest.fixture(scope="module")
def scored():
    return [with_distributions(row) for row in rows(60, seed=3)]


@pytest.fixture(scope="module")
def found(scored):
    half = scored[:30]
    decisions = [(d, row) for row in half for d in RULE.decide(row) if d.llm_consulted]
    fitted = Calibration(
        slm=fit_confidence_weights(slm_confidences(half, KINDS)),
        llm=fit_confidence_weights(llm_confidences(half)),
        with_llm=fit_logistic_weights(
            [calibration_features(d) for d, _ in decisions], [d.span in row.gold for d, row in decisions]
        ),
    )
    return evaluate_calibration(scored[30:], RULE, KINDS, fitted)


def test_every_entity_is_counted_once(scored, found):
    half = scored[30:]
    assert found["slm"].n == sum(len(row.slm.spans) for row in half)
    assert found["llm"].n == sum(len(row.llm.entities) for row in half)
    assert found["fused"].n == sum(own.n for own in found["fused"].by_type.values())
    for system in found.values():
        assert sum(b.n for b in system.bins) == system.n
        assert 0 <= system.after <= 1


def test_the_error_is_that_of_the_bins(found):
    for system in found.values():
        by_bins = sum(b.n * abs(b.mean - b.right) for b in system.bins) / system.n
        assert system.after == pytest.approx(by_bins)


def test_without_weights_or_rows_nothing_is_told(scored):
    assert evaluate_calibration(scored, RULE, KINDS, Calibration()) == {}
    assert evaluate_calibration([], RULE, KINDS, Calibration((1.0,) * 6, (), (1.0, 1.0), (1.0, 1.0))) == {}


def test_entities_on_which_the_llm_was_not_consulted_are_counted_too(scored):
    alone = fit_logistic_weights([[1.0, 0.0], [1.0, 0.1], [1.0, 2.0]], [True, True, False])
    calibration = Calibration(with_llm=(0.0,) * 6, slm_alone=tuple(alone))
    decided = [entity for row in scored for entity in RULE.decide(row)]
    n_alone = sum(not entity.llm_consulted for entity in decided)
    assert 0 < n_alone < len(decided)
    assert evaluate_calibration(scored, RULE, KINDS, calibration)["fused"].n == len(decided)
