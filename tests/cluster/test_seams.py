"""Sentences of any length: they are cut, and what crosses a cut is found as if it were not there."""

import re
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.tables import iter_documents
from rayner.corpus.unit_records import InputDigests, read_unit_record
from rayner.fusion.calibration import Calibration
from rayner.fusion.region_rule import RegionRule
from rayner.steps.tag.audit import CorpusVerifier
from rayner.steps.tag.plan import PlanSummary, iter_plan_parts, write_plan_and_documents
from rayner.steps.tag.seams import DecidedSeam, join_at_seams, predict_unit
from rayner.steps.tag.stages import Attempts, LlmStage, SlmStage, UnitSegments
from rayner.steps.tag.units import fuse_and_write_unit, read_unit
from rayner.text.finite_predictions import find_non_finite_slm
from rayner.text.predictions import LlmAnswer, SlmPrediction, decode_log_probs
from rayner.text.segmentation import SEAM_CHARS
from rayner.text.spans import Span
from tests.cluster.small import rows_of

NAME = re.compile("[楚王]+")


def tag(text):
    """A model for which every run of two characters is a name, however long: half a run is a name too."""
    spans = tuple(Span(*match.span(), "NR") for match in NAME.finditer(text))
    return SlmPrediction(spans, np.zeros(len(text), dtype=np.float32))


def tag_stage(fails=lambda text: False, error="slm: cannot"):
    """A stage that runs this model, and fails on some texts."""

    def stage(unit):
        segments = [
            replace(segment, error=error) if fails(segment.text) else replace(segment, slm=tag(segment.text))
            for segment in unit.segments
        ]
        return replace(unit, segments=segments)

    return stage


def tag_texts(folder, texts, unit_chars, limit, fails=lambda text: False, error="slm: cannot"):
    """Tag texts, each unit on its own and the last one first; verify the corpus and return its entities by document."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in texts.items():
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        (folder / "corpus" / f"{name}.txt").write_bytes(text.encode())
    out = folder / "out"
    survey = write_plan_and_documents(str(folder / "corpus"), unit_chars, out, limit)
    units = [unit for part in iter_plan_parts(out, survey.plan_parts) for unit in part]
    for unit in reversed(units):
        predicted = predict_unit(read_unit(unit, out, survey.plan_parts), tag_stage(fails, error), lambda unit: unit)
        written = fuse_and_write_unit(predicted, out, RegionRule(0.0), Calibration(), InputDigests("tags", "scores"))
        counts = read_unit_record(out, unit.name).counts
        assert (written.amount, written.not_finite) == (counts.characters, counts.not_finite)
    plan = PlanSummary("", survey.documents, survey.characters, survey.units, {}, [], 0.0, survey.plan_parts)
    assert list(CorpusVerifier(out, plan).find_problems()) == []
    assert all(b["start"] >= a["end"] for d in iter_documents(out) for a, b in pairwise(d.entities))
    return {d.doc_id: [(e["start"], e["end"]) for e in d.entities] for d in iter_documents(out)}


def names(text):
    return [match.span() for match in NAME.finditer(text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("seams") / "job"


# Names of up to 40 characters, which every seam is long enough for.
long_lines = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["曰", "，", "曰" * 150, "。", "\n", "曰\u3000"])), max_size=40
).map(lambda parts: "".join("楚" * n + rest for n, rest in parts))


@given(text=long_lines, limit=st.integers(260, 600), unit_chars=st.integers(260, 900))
def test_the_entities_are_those_of_a_model_that_sees_whole_sentences(folder, text, limit, unit_chars):
    expected = [span for a in re.finditer(r"[^。\n]*[。\n]*", text) for span in _shifted(names(a[0]), a.start())]
    assert tag_texts(folder, {"一": text}, unit_chars, limit) == {"一": expected}


def _shifted(spans, offset):
    return [(start + offset, end + offset) for start, end in spans]


@given(
    text=st.text(st.sampled_from("楚王曰，。\n\u0301 "), max_size=200),
    limit=st.integers(1, 30),
    size=st.integers(1, 60),
)
def test_whatever_the_limits_no_entities_overlap_and_no_text_is_lost(folder, text, limit, size):
    found = tag_texts(folder, {"一": text, "二": text[::-1]}, size, limit)
    assert all(set(text[a:b]) <= {"楚", "王"} for a, b in found["一"])


HOSTILE = {
    "a line of half a million characters": "楚王曰" * 170_000,
    "no punctuation": "歸告懷" * 8000 + "楚王" + "歸告懷" * 8000,
    "punctuation only": "，" * 30_000,
    "sentence ends only": "。" * 30_000,
    "a hundred thousand line breaks": "\n" * 100_000,
    "one character repeated": "曰" * 30_000,
    "white space only": "\u3000 \t" * 10_000,
    "as long as a segment may be": "曰" * 4999 + "楚",
    "one character longer": "曰" * 5000 + "楚",
    "an entity exactly across the cut": "曰" * 2499 + "楚王" + "曰" * 2500,
    "a name that ends at the cut": "曰" * 2499 + "楚王" + "曰" * 2501,
    "a cut in the last unit": "曰" * 19_990 + "。" + "曰" * 2499 + "楚王王" + "曰" * 2500,
    "a name across the border of units": "曰" * 19_999 + "楚王王王王" + "曰" * 20_000,
    "combining characters": "a\u0301" * 6000,
    "carriage returns only": "楚王\r" * 8000,
    "outside the BMP": "\U00020bb7" * 12_000 + "楚王",
    "NUL and private use": "\0\ue000\ufeff" * 4000 + "楚王",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_tagged_as_they_are(tmp_path, name):
    text = HOSTILE[name]
    found = tag_texts(tmp_path, {"一": text, "二": "楚王曰。"}, 20_000, 5000)
    assert found == {"一": names(text), "二": [(0, 2)]}
    sizes = {}
    for row in rows_of(tmp_path / "out", "segments"):
        sizes[row["unit"]] = sizes.get(row["unit"], 0) + row["end"] - row["start"]
        assert row["end"] - row["start"] <= 5000
    assert max(sizes.values()) <= 20_000


def test_units_shorter_than_a_segment_may_be_cut_sentences_too(tmp_path):
    text = "曰" * 350 + "楚王" * 20 + "曰" * 5000
    assert tag_texts(tmp_path, {"一": text}, 370, 5000) == {"一": names(text)}


def test_two_names_at_one_cut_stay_two(tmp_path):
    text = "曰" * 3000 + "楚，" + "王" + "曰" * 2998
    assert tag_texts(tmp_path, {"一": text}, 20_000, 5000) == {"一": names(text)}


@pytest.mark.parametrize("unit_chars", [6000, 3000])  # both pieces in one unit, or each in its own
def test_a_seam_that_fails_costs_the_name_across_it_and_is_told_at_its_piece(tmp_path, unit_chars):
    text = "曰" * 2998 + "楚王王王" + "曰" * 2998
    found = tag_texts(tmp_path, {"一": text}, unit_chars, 5000, lambda segment: len(segment) == 2 * SEAM_CHARS)
    # In a unit of its own the right piece cannot know what the left unit has found.
    assert found == {"一": [(2998, 3000), (3000, 3002)] if unit_chars == 6000 else [(2998, 3000)]}
    errors = [row["error"] for row in rows_of(tmp_path / "out", "segments")]
    left, right = "text around its end: slm: cannot", "text around its start: slm: cannot"
    assert errors == ([left, None] if unit_chars == 6000 else [left, right])


@pytest.mark.parametrize(("unit_chars", "n_not_finite"), [(6000, [1]), (3000, [1, 1])])
def test_a_seam_whose_prediction_is_not_finite_is_counted_at_its_piece(tmp_path, unit_chars, n_not_finite):
    text = "曰" * 2998 + "楚王王王" + "曰" * 2998
    reason = find_non_finite_slm(SlmPrediction((), np.full(1, np.nan, np.float32)))
    tag_texts(
        tmp_path, {"一": text}, unit_chars, 5000, lambda segment: len(segment) == 2 * SEAM_CHARS, f"slm: {reason}"
    )
    records = [read_unit_record(tmp_path / "out", f"unit-{i:06d}") for i in range(len(n_not_finite))]
    assert [record.counts.not_finite for record in records] == n_not_finite
    assert [record.counts.set_aside for record in records] == n_not_finite


def row(start, end):
    return {"start": start, "end": end}


spans = st.lists(st.integers(0, 40), unique=True, max_size=14).map(
    lambda cuts: [row(a, b) for a, b in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)]
)


@given(entities=spans, crossing=spans, has_left=st.booleans())
def test_entities_at_seams_are_replaced_by_what_crosses_and_only_there(entities, crossing, has_left):
    seams = [DecidedSeam(c["start"] + 1, c["end"], has_left, c) for c in crossing]
    joined = join_at_seams(entities, seams)
    kept = [e for e in entities if not any(e["start"] < c["end"] and c["start"] < e["end"] for c in crossing)]
    assert joined == sorted([*kept, *(crossing if has_left else [])], key=lambda e: e["start"])


class RecordingTagger:
    """A tagger that remembers its batches."""

    labels = ("O", "B-NR", "M-NR", "E-NR", "S-NR")

    def __init__(self):
        self.batches = []

    def predict(self, texts):
        self.batches.append(list(texts))
        return decode_log_probs([np.log(np.full((len(text), 5), 0.2, np.float32)) for text in texts], self.labels)


class RecordingEngine:
    """An engine that finds nothing and remembers its batches."""

    def __init__(self):
        self.batches = []

    def answer(self, requests, halvings=0, known_vectors=None):
        self.batches.append([request.text for request in requests])
        return [LlmAnswer((), np.ones(len(request.text) + 1, np.float32)) for request in requests]


def test_each_seam_is_a_batch_of_its_own_so_it_is_the_same_in_both_units(tmp_path):
    (tmp_path / "一.txt").write_text("曰" * 40 + "楚" * 40 + "王" * 40, encoding="utf-8")
    out = tmp_path / "out"
    parts = write_plan_and_documents(str(tmp_path / "一.txt"), 40, out, 20).plan_parts
    units = [unit for part in iter_plan_parts(out, parts) for unit in part]
    seen = []
    for unit in units:
        slm, llm = SlmStage.__new__(SlmStage), LlmStage.__new__(LlmStage)
        slm.tagger, slm.attempts, engine = RecordingTagger(), Attempts(), RecordingEngine()
        llm.gate, llm.group_size, llm.attempts, llm.answer_texts = None, 3, Attempts(), engine.answer
        llm.scores_candidates = llm.shows_hints = False
        read = read_unit(unit, out, parts)
        predicted = predict_unit(read, slm, llm)
        assert slm.tagger.batches[0] == engine.batches[0] == [segment.text for segment in read.segments]
        assert all(len(batch) == 1 for batch in [*slm.tagger.batches[1:], *engine.batches[1:]])
        seams = [segment.text for segment in read.seams.segments]
        assert [text for [text] in slm.tagger.batches[1:]] == [text for [text] in engine.batches[1:]] == seams
        assert all(segment.llm is not None for segment in predicted.seams.segments)
        seen.append(dict(zip(read.cuts, seams, strict=True)))
    assert [list(cuts) for cuts in seen] == [[20, 40], [40, 60, 80], [80, 100]]
    assert seen[0][40] == seen[1][40]
    assert seen[1][80] == seen[2][80]


def test_a_unit_without_cuts_has_no_seams(tmp_path):
    (tmp_path / "一.txt").write_text("楚王曰。", encoding="utf-8")
    parts = write_plan_and_documents(str(tmp_path / "一.txt"), 40, tmp_path / "out", 20).plan_parts
    [unit] = [unit for part in iter_plan_parts(tmp_path / "out", parts) for unit in part]
    assert isinstance(read_unit(unit, tmp_path / "out", parts), UnitSegments)
    assert read_unit(unit, tmp_path / "out", parts).seams is None
