"""Evidence from the document in a unit: each document by itself, and what failed keeps the small model's entities."""

import dataclasses

import pytest

from rayner.fusion.calibration import Calibration
from rayner.fusion.control import RuleWithoutLlm
from rayner.fusion.learned.document_evidence import EVIDENCE_FEATURES
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_features import feature_names
from rayner.fusion.learned.span_rule import SpanRule
from rayner.steps.tag.stages import UnitSegments
from rayner.steps.tag.units import fuse_unit
from rayner.text.spans import Span
from tests.fusion.test_document_rule import EMPTY, unsure
from tests.strategies import TYPES

NAME = Span(1, 3, "NR")


def trusting_rule():
    """A rule that accepts what was decided elsewhere in the document, and in the first pass what the SLM is sure of."""
    names = feature_names(TYPES)
    first = SpanRule(TYPES, (-1.0, *(2.0 * (name == "SLM") for name in names)), EMPTY)
    second = [2.0 * (name == "SLM") for name in names] + [9.0 * (name == "decided so") for name in EVIDENCE_FEATURES]
    return DocumentRule(first, (-1.0, *second))


def segment_of(doc_id, start, text, *own, error=None):
    segment = unsure(text, own, (), 0.9 if own else 0.02)
    return dataclasses.replace(segment, doc_id=doc_id, start=start, end=start + len(text), error=error)


def places(unit, rule):
    return [(row["doc_id"], row["start"], row["text"]) for row in fuse_unit(unit, rule, Calibration()).entities]


@pytest.mark.parametrize("rule", [trusting_rule(), RuleWithoutLlm(trusting_rule())])
def test_a_name_is_found_elsewhere_in_its_document_and_not_in_another_one(rule):
    unit = UnitSegments(
        "unit-000000",
        [
            segment_of("甲", 0, "見項籍。", NAME),
            segment_of("甲", 4, "從項籍。"),
            segment_of("乙", 0, "從項籍。"),
        ],
    )
    assert places(unit, rule) == [("甲", 1, "項籍"), ("甲", 5, "項籍")]


@pytest.mark.parametrize("rule", [trusting_rule(), RuleWithoutLlm(trusting_rule())])
def test_a_segment_that_failed_keeps_the_entities_of_the_small_model_and_is_evidence(rule):
    unit = UnitSegments(
        "unit-000000",
        [
            segment_of("甲", 0, "見項籍。", NAME, error="llm: failed"),
            segment_of("甲", 4, "從項籍。"),
            segment_of("甲", 8, "問項籍。", error="llm: failed"),
        ],
    )
    assert places(unit, rule) == [("甲", 1, "項籍"), ("甲", 5, "項籍")]


def test_a_seam_is_decided_by_the_first_pass():
    rule = trusting_rule()
    seam = segment_of("甲", 0, "又從項籍走。")
    unit = UnitSegments(
        "unit-000000",
        [segment_of("甲", 0, "又從項"), segment_of("甲", 3, "籍走。"), segment_of("甲", 6, "見項籍。", NAME)],
        seams=UnitSegments("unit-000000.seams", [seam], [()], is_predicted_apart=True),
        cuts=[3],
    )
    assert places(unit, rule) == [("甲", 7, "項籍")]
