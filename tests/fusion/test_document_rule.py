"""Evidence from the document: counted without the sentence itself, and exact with the gate."""

import dataclasses
import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.evaluation.metrics import micro_f1
from rayner.fusion.control import RuleWithoutLlm
from rayner.fusion.fused_entities import slm_entities
from rayner.fusion.fusion_rule import FittingSample
from rayner.fusion.learned.document_evidence import EVIDENCE_BOUNDS, EVIDENCE_FEATURES, DocumentEvidence
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_features import feature_names
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.rule_search import decide_held_out
from rayner.text.json_records import RecordError
from rayner.text.predictions import GateDecision, LlmAnswer
from rayner.text.spans import Span
from tests.fusion.test_span_rule import LEXICON, one, rows, scored, span_rules
from tests.strategies import TYPES, llm_answers

EMPTY = Lexicon({}, {})


def evidence_of(*sentences):
    """The evidence of a document. sentences: each a text and its decided spans as (start, end, type)."""
    return DocumentEvidence(
        [text for text, _ in sentences], [[Span(*span) for span in spans] for _, spans in sentences]
    )


def named(evidence, i, span, lexicon=EMPTY):
    return dict(zip(EVIDENCE_FEATURES, evidence.compute_features(i, Span(*span), lexicon), strict=True))


def test_decisions_elsewhere_count_and_those_of_the_sentence_itself_do_not():
    evidence = evidence_of(
        ("項籍起。", [(0, 2, "NR")]), ("項籍怒，項籍走。", [(0, 2, "NR"), (4, 6, "NS")]), ("見項籍。", [])
    )
    first = named(evidence, 0, (0, 2, "NR"))
    assert first["decided so"] == pytest.approx(math.log(2))
    assert first["decided otherwise"] == pytest.approx(math.log(2))
    assert first["share of its places decided so"] == pytest.approx(1.5 / 4)
    assert first["occurs nowhere else"] == 0
    assert first["never tagged: share"] == pytest.approx(1.5 / 4)
    second = named(evidence, 1, (0, 2, "NR"), Lexicon({"項籍": {"NR": 1}}, {}))
    assert second["decided so"] == pytest.approx(math.log(2))
    assert second["decided otherwise"] == 0
    assert second["never tagged: share"] == second["never tagged: decided so"] == 0


def test_a_string_inside_a_longer_entity_is_told():
    evidence = evidence_of(("籍。", []), ("項籍。", [(0, 2, "NR")]), ("籍走，項籍走。", [(3, 5, "NR")]))
    found = named(evidence, 0, (0, 1, "NR"))
    assert found["inside longer entities"] == pytest.approx(2 / 3)
    assert found["decided so"] == 0


def test_a_string_that_occurs_nowhere_else_is_told():
    found = named(evidence_of(("項籍。", [(0, 2, "NR")]), ("無。", [])), 0, (0, 2, "NR"))
    assert found["occurs nowhere else"] == 1
    assert sum(found.values()) == 1


def test_a_string_over_the_end_of_a_sentence_is_no_place():
    evidence = evidence_of(("項", []), ("籍項籍", [(1, 3, "NR")]), ("項籍", []))
    assert named(evidence, 2, (0, 2, "NR"))["share of its places decided so"] == pytest.approx(1.5 / 2)


def test_all_places_of_a_string_that_was_decided_in_another_sentence_become_candidates():
    evidence = evidence_of(
        ("項籍怒項籍。", []), ("項籍。", [(0, 2, "NR")]), ("沛公，沛公。", [(0, 2, "NR")]), ("楚楚。", [(0, 1, "NS")])
    )
    assert evidence.find_added_candidates(0) == {Span(0, 2, "NR"), Span(3, 5, "NR")}
    assert evidence.find_added_candidates(1) == set()  # it was decided here alone
    assert evidence.find_added_candidates(2) == set()
    assert evidence.find_added_candidates(3) == set()  # single characters are not added


@st.composite
def documents(draw):
    """Segments of two documents, in any order."""
    some = draw(st.lists(rows(), min_size=1, max_size=6))
    return [
        dataclasses.replace(row, doc_id=draw(st.sampled_from(["a", "b"])), start=20 * i, end=20 * i + len(row.text))
        for i, row in enumerate(some)
    ]


@st.composite
def document_rules(draw):
    first = draw(span_rules())
    n_weights = len(EVIDENCE_FEATURES) + len(first.column_names)
    weights = draw(st.lists(st.floats(-3, 3), min_size=1 + n_weights, max_size=1 + n_weights))
    return DocumentRule(first, tuple(weights), draw(st.floats(0.1, 0.9)))


@given(documents())
def test_features_are_within_their_bounds(some):
    decided = [segment.slm.spans for segment in some]
    evidence = DocumentEvidence([segment.text for segment in some], decided)
    for i, spans in enumerate(decided):
        for span in {*spans, *evidence.find_added_candidates(i)}:
            found = evidence.compute_features(i, span, LEXICON)
            assert len(found) == len(EVIDENCE_BOUNDS)
            assert all(low <= value <= high for value, (low, high) in zip(found, EVIDENCE_BOUNDS, strict=True))


@given(documents(), document_rules(), st.randoms(use_true_random=False))
def test_decisions_do_not_depend_on_the_order_of_the_segments_or_on_other_documents(some, rule, random):
    order = list(range(len(some)))
    random.shuffle(order)
    found = rule.decide_all(some)
    shuffled = rule.decide_all([some[i] for i in order])
    assert [shuffled[order.index(i)] for i in range(len(some))] == found
    alone = [segment for segment in some if segment.doc_id == "a"]
    assert rule.decide_all(alone) == [
        entities for segment, entities in zip(some, found, strict=True) if segment.doc_id == "a"
    ]


@given(documents(), document_rules())
def test_output_is_legal_and_gives_each_entity_its_probability(some, rule):
    for segment, entities in zip(some, rule.decide_all(some), strict=True):
        spans = [entity.span for entity in entities]
        assert all(a.end <= b.start for a, b in pairwise(spans))
        assert all(0 <= span.start < span.end <= len(segment.text) for span in spans)
        if rule.could_change(segment):
            assert all(entity.rule_prob > rule.threshold for entity in entities)


@given(documents(), document_rules(), st.data())
def test_where_the_gate_is_shut_no_answer_changes_anything_in_the_document(some, rule, data):
    shut = [i for i, segment in enumerate(some) if not rule.could_change(segment)]
    unasked = [dataclasses.replace(segment, llm=None) if i in shut else segment for i, segment in enumerate(some)]
    forced = GateDecision(ask_llm=True, could_change=True)  # so that not the gate, but the rule itself accepts nothing
    answered = list(some)
    for i in shut:
        other = dataclasses.replace(some[i], llm=data.draw(llm_answers(len(some[i].text))))
        answered[i] = dataclasses.replace(other, llm=data.draw(scored(other)), gate=forced)
    expected = [[entity.span for entity in entities] for entities in rule.decide_all(unasked)]
    assert [[entity.span for entity in entities] for entities in rule.decide_all(answered)] == expected
    assert all(not expected[i] for i in shut)


@given(document_rules())
def test_a_rule_is_read_back_from_json(rule):
    assert DocumentRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


def test_a_wrong_number_of_weights_is_refused():
    rule = DocumentRule(SpanRule.unfitted(TYPES, EMPTY), (1.0, 2.0))
    with pytest.raises(RecordError, match=r"^weights: expected \d+ numbers or none, found 2"):
        DocumentRule.from_json(rule.to_json())


def test_without_a_second_pass_the_first_one_decides():
    row = one("楚王", (Span(0, 1, "NS"),), (Span(0, 1, "NS"),), ())
    rule = DocumentRule(SpanRule.unfitted(TYPES, EMPTY))
    assert rule.decide_all([row]) == [rule.first.decide(row)]
    assert rule.named_weights == {}


def test_a_segment_without_an_answer_keeps_the_slm_entities_and_they_are_evidence():
    weights = dict.fromkeys((*feature_names(TYPES), *EVIDENCE_FEATURES), 0.0) | {"decided so": 9.0}
    rule = DocumentRule(SpanRule.unfitted(TYPES, EMPTY), (-1.0, *weights.values()))
    failed = dataclasses.replace(unsure("見項籍起", (Span(1, 3, "NR"),), (), 0.9), llm=None)
    answered = one("見項籍", (), (), ())
    found = rule.decide_all([failed, answered])
    assert found[0] == slm_entities(failed.slm)
    assert [(entity.span, entity.decided_by) for entity in found[1]] == [(Span(1, 3, "NR"), "slm")]


NAMES = [a + b for a in "甲乙丙丁戊己庚辛" for b in "子丑寅卯辰巳午未"]


def passages(n, seed=0):
    """Passages with a name of their own, of which the SLM is sure in most places and unsure in some.

    A string that looks the same but is no name is doubted everywhere.
    """
    random = np.random.default_rng(seed)
    made = []
    for passage in range(n):
        name, other = NAMES[2 * passage % len(NAMES)], NAMES[(2 * passage + 1) % len(NAMES)]
        for i in range(8):
            is_name = i % 2 == 0
            string = name if is_name else other
            sure = is_name and i != 6
            span, text = Span(1, 3, "NR"), f"見{string}於{passage}之{i}。"
            own = (span,) if sure else ()
            gold = (span,) if is_name else ()
            certainty = 0.95 if sure else 0.3 + 0.01 * random.random()
            made.append(dataclasses.replace(unsure(text, own, gold, certainty), passage=passage))
    return made


def unsure(text, own, gold, certainty):
    """A segment with an empty LLM answer, where the SLM gives NR this probability at the second and third character."""
    row = one(text, (), (), gold, certainty)
    log_probs = np.full_like(row.slm.log_probs, math.log(1e-4))
    log_probs[:, 0] = math.log(0.99)
    first = 1 + 4 * TYPES.index("NR")
    log_probs[1, first] = log_probs[2, first + 2] = math.log(certainty)
    log_probs[1:3, 0] = math.log(1 - certainty)
    answer = LlmAnswer((), np.ones(len(text) + 1, dtype=np.float32))
    return dataclasses.replace(row, slm=dataclasses.replace(row.slm, spans=own, log_probs=log_probs), llm=answer)


def sample_of(segments):
    return FittingSample(segments, TYPES, EMPTY, {}, np.zeros(1), 3.0)


@pytest.mark.parametrize("wrap", [lambda rule: rule, RuleWithoutLlm])
def test_it_learns_that_a_name_is_one_everywhere_in_its_passage(wrap):
    sample = sample_of(passages(20))
    first, rule = (
        wrap(each) for each in (SpanRule.unfitted(TYPES, EMPTY), DocumentRule(SpanRule.unfitted(TYPES, EMPTY)))
    )
    scores = [
        micro_f1(
            sample.gold_by_segment,
            [[e.span for e in found] for found in decide_held_out(each, sample, folds=5, seed=0)],
            TYPES,
        )
        for each in (first, rule)
    ]
    assert scores[0] < 0.9
    assert scores[1] > 0.97


def test_the_first_decisions_on_a_passage_come_from_other_passages(monkeypatch):
    """A passage whose tags a rule has seen would be decided too well, and the evidence would be trusted too much."""
    segments = passages(6)
    seen, fit_to = [], SpanRule.fit_to

    def record_and_fit(rule, sample):
        seen.append({segment.passage for segment in sample.segments})
        return fit_to(rule, sample)

    monkeypatch.setattr(SpanRule, "fit_to", record_and_fit)
    DocumentRule(SpanRule.unfitted(TYPES, EMPTY)).fit(sample_of(segments))
    assert seen[0] == set(range(6))
    assert all(len(others) < 6 for others in seen[1:])
    assert len(seen) == 6
