"""What both models said is kept exactly, and where a kept answer is used the fused output is that of a new answer."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.kept_scores import (
    ScoresRecord,
    list_scored_units,
    read_scores,
    read_scores_record,
    remove_scores,
    scores_path,
    scores_record_path,
    write_scores_and_record,
)
from rayner.corpus.parquet_files import write_table
from rayner.errors import ConfigError, DataError
from rayner.fusion.budget import Budget
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.gate import first_slot_outside_spans
from rayner.fusion.region_rule import RegionRule
from rayner.runs.json_files import write_checked_json
from rayner.steps.tag.llm_gate import Gate, apply_gate, without_unasked_answer
from rayner.text.predictions import LlmAnswer, SegmentPrediction, empty_prediction
from tests.folders import flip
from tests.fusion.test_gate import broken_off, close_calls
from tests.strategies import LABELS, at_most, floats32, rules, votes

NO_BUDGET = Budget((0.0,), (1.0,), (1.0, 0.0))


@st.composite
def predicted_segments(draw):
    slm, llm = draw(votes(8))
    n = len(slm.entropy)
    if draw(st.booleans()):
        slm = replace(slm, log_probs=np.full((n, len(LABELS)), draw(st.floats(-20, 0, width=32)), dtype=np.float32))
    answer = draw(st.sampled_from([None, llm, broken_off(llm, n)]))
    error = draw(st.sampled_from([None, "slm: too long", "llm: NaN"]))
    return SegmentPrediction("書/一", 5, 5 + n, "楚" * n, slm, answer, error=error)


def same_prediction(a, b):
    arrays = [(a.slm.entropy, b.slm.entropy)]
    if a.slm.log_probs is not None and len(a.slm.entropy):
        arrays.append((a.slm.log_probs, b.slm.log_probs))
    if a.llm is not None:
        arrays.append((a.llm.slot_probs, b.llm.slot_probs))

    def plain(s):
        answer = s.llm and (s.llm.entities, s.llm.candidate_scores)
        return s.doc_id, s.start, s.end, s.text, s.slm.spans, answer, s.error

    return plain(a) == plain(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in arrays)


@at_most(60)
@given(st.lists(predicted_segments(), max_size=4), st.lists(predicted_segments(), max_size=2))
def test_predictions_are_read_as_they_were_written(tmp_path_factory, segments, seams):
    out = tmp_path_factory.mktemp("out")
    record = write_scores_and_record(out, ScoresRecord("unit-000000", "inputs", "", 1, 2), segments, seams)
    assert read_scores_record(out, "unit-000000") == record
    planned = [replace(segment, slm=empty_prediction(), llm=None, error=None) for segment in (*segments, *seams)]
    read = read_scores(out, record, planned)
    assert len(read) == len(planned)
    assert all(map(same_prediction, (*segments, *seams), read))


def test_the_text_of_the_corpus_is_kept_beside_the_converted_text_that_the_models_read(tmp_path):
    segment = SegmentPrediction("一", 0, 2, "漢書", empty_prediction(2), original_text="汉书")
    record = write_scores_and_record(tmp_path, ScoresRecord("unit-000000", "inputs", ""), [segment], [])
    (read,) = read_scores(tmp_path, record, [segment])
    assert (read.text, read.original_text) == ("漢書", "汉书")


def test_what_is_damaged_or_of_other_segments_is_refused(tmp_path):
    segment = SegmentPrediction("一", 0, 2, "楚王", replace(empty_prediction(2)))
    record = write_scores_and_record(tmp_path, ScoresRecord("unit-000000", "inputs", ""), [segment], [])
    assert list_scored_units(tmp_path) == {"unit-000000"}
    with pytest.raises(DataError, match=r"unit-000000\.parquet: expected the 1 planned segments and seams, found 1"):
        read_scores(tmp_path, record, [replace(segment, start=1)])
    flip(scores_path(tmp_path, "unit-000000"))
    with pytest.raises(DataError, match=r"unit-000000\.parquet: expected the file that was written"):
        read_scores(tmp_path, record, [segment])
    scores_record_path(tmp_path, "unit-000000").rename(scores_record_path(tmp_path, "unit-000001"))
    with pytest.raises(DataError, match="expected the record of unit-000001, found that of unit-000000"):
        read_scores_record(tmp_path, "unit-000001")
    scores_record_path(tmp_path, "unit-000001").write_bytes(b'{"format_version": 9}')
    with pytest.raises(ConfigError, match="expected format_version 2, found version 9"):
        read_scores_record(tmp_path, "unit-000001")
    scores_record_path(tmp_path, "unit-000001").write_bytes(b'{"format_version": true}')
    with pytest.raises(ConfigError, match="expected format_version 2, found "):
        read_scores_record(tmp_path, "unit-000001")
    remove_scores(tmp_path, "unit-000000")
    remove_scores(tmp_path, "unit-000001")
    assert not any((tmp_path / "scores").glob("*.json"))


any_rules = st.one_of(rules(), st.floats(-1, 1).map(CharacterRule))


@given(close_calls(), st.none() | any_rules, any_rules, st.booleans(), st.booleans())
def test_a_kept_answer_that_is_used_gives_what_a_new_answer_gives(drawn, first_rule, other_rule, was_exact, is_exact):
    """The answer was asked for under one rule; then another rule fuses what was kept."""
    slm, whole, near_rule = drawn
    rule = first_rule or near_rule
    n_chars = len(slm.entropy)
    segment = SegmentPrediction("一", 0, n_chars, "楚" * n_chars, slm)
    first, asked = apply_gate([segment], Gate(rule, NO_BUDGET, exact=was_exact))
    kept = first[0]
    if asked:
        end = first_slot_outside_spans(rule.stop_mask(slm), whole.spans) if was_exact else n_chars
        kept = replace(kept, llm=broken_off(whole, end))
    gate = Gate(other_rule, NO_BUDGET, exact=is_exact)
    again, asked_again = apply_gate([replace(kept, gate=None, gated=False)], gate)
    anew, _ = apply_gate([segment], gate)
    fresh = without_unasked_answer(replace(anew[0], llm=whole if anew[0].gate.ask_llm else None))
    if asked_again:
        assert anew[0].gate.ask_llm
        return
    used = without_unasked_answer(again[0])
    assert used.gated == fresh.gated
    assert other_rule.decide(used) == other_rule.decide(fresh)


@pytest.mark.parametrize("scores", [None, ()])
@pytest.mark.parametrize("needs_scores", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_a_whole_answer_without_scores_of_candidates_is_asked_again_where_whole_answers_have_them(
    scores, needs_scores, exact
):
    """A rule by regions stops reading at a slot under the exact gate, and then needs no scores."""
    slm = replace(empty_prediction(3), entropy=floats32([3, 3, 0]))
    answer = LlmAnswer((), floats32([1, 1, 1, 1]), candidate_scores=scores)
    segment = SegmentPrediction("一", 0, 3, "楚王曰", slm, answer)
    gate = Gate(RegionRule(0.3), NO_BUDGET, exact=exact, candidate_scores=needs_scores)
    decided, asked = apply_gate([segment], gate)
    assert decided[0].gate.ask_llm
    assert (decided[0].gate.stop_mask is None) == (not exact)
    assert asked == ([0] if needs_scores and scores is None and not exact else [])


def test_a_record_of_before_is_read_as_one_without_scores_of_candidates(tmp_path):
    segment = SegmentPrediction("一", 0, 2, "楚王", empty_prediction(2), LlmAnswer((), floats32([1, 1, 1])))
    record = write_scores_and_record(tmp_path, ScoresRecord("unit-000000", "inputs", ""), [segment], [])
    path = scores_path(tmp_path, "unit-000000")
    older = replace(record, sha256=write_table(pq.read_table(path).drop_columns("llm_candidates"), path))
    write_checked_json(scores_record_path(tmp_path, "unit-000000"), {**older.to_json(), "format_version": 1})
    assert read_scores_record(tmp_path, "unit-000000") == older
    (read,) = read_scores(tmp_path, older, [segment])
    assert same_prediction(read, segment)
    assert read.llm.candidate_scores is None


@given(votes(8), rules())
def test_what_failed_in_the_llm_is_not_asked_again_and_does_not_count_where_the_gate_is_shut(drawn, rule):
    slm, _ = drawn
    n_chars = len(slm.entropy)
    failed = SegmentPrediction("一", 0, n_chars, "楚" * n_chars, slm, error="llm: too long")
    segments, asked = apply_gate([failed], Gate(rule, NO_BUDGET))
    assert asked == []
    assert segments[0].error == "llm: too long"
    assert without_unasked_answer(segments[0]).error == (None if segments[0].gated else "llm: too long")


def test_what_the_small_model_failed_at_is_neither_asked_nor_gated():
    failed = SegmentPrediction("一", 0, 2, "楚王", empty_prediction(2), error="slm: too long")
    segments, asked = apply_gate([failed], None)
    assert (asked, segments[0].gated, segments[0].error) == ([], False, "slm: too long")


def test_an_answer_that_was_never_whole_is_asked_again_by_a_rule_that_reads_all():
    slm = replace(empty_prediction(3), entropy=floats32([3, 0, 0]))
    part = LlmAnswer((), floats32([1, 1, np.nan, np.nan]))
    segment = SegmentPrediction("一", 0, 3, "楚王曰", slm, part)
    assert apply_gate([segment], None)[1] == [0]
    assert apply_gate([replace(segment, llm=LlmAnswer((), floats32([1, 1, 1, 1])))], None)[1] == []
