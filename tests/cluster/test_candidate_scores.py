"""The stage of the LLM asks for the scores of all candidates, and of none where they are not read."""

import numpy as np
import pytest

from rayner.config.loading import load_config
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.fusion.budget import Budget
from rayner.fusion.learned.span_features import candidate_spans
from rayner.fusion.region_rule import RegionRule
from rayner.llm.retrieval import ExampleRetriever
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps import llm_loading
from rayner.steps.tag.llm_gate import Gate
from rayner.steps.tag.stages import LlmStage, UnitSegments
from rayner.text.predictions import SegmentPrediction, decode_log_probs
from rayner.text.tags import bmes_labels


@pytest.fixture
def predicted(sentences, types):
    """Segments of a small model that is unsure, with white space around them."""
    rng, made = np.random.default_rng(2), []
    for sentence in sentences[:6]:
        logits = rng.normal(scale=3, size=(len(sentence.text), 1 + 4 * len(types)))
        log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
        (slm,) = decode_log_probs([log_probs], bmes_labels(types))
        text = f"\u3000{sentence.text}\n\n"
        made.append(SegmentPrediction("一", 0, len(text), text, slm.pad(1, 2)))
    return made


@pytest.fixture
def stage(random_llm, sentences, types, tmp_path, monkeypatch):
    """The stage of the LLM, with settings and a gate; only the folders of trained models are left out."""
    run = Run(tmp_path)
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(types)}).to_json())
    decoder = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=4)
    monkeypatch.setattr(llm_loading, "load_answer_engine", lambda *_: decoder)
    monkeypatch.setattr(llm_loading, "load_retriever", lambda *_: ExampleRetriever("fixed", 1, sentences))
    return lambda settings, gate=None: LlmStage(load_config(None, settings), run, gate)


def test_the_llm_is_asked_about_every_candidate_and_only_on_request(stage, predicted, types):
    unit = UnitSegments("unit-000000", predicted)
    scored = stage(["score.llm.candidates=true"])(unit).segments
    plain = stage([])(unit).segments
    n_unpredicted = 0
    for segment, without in zip(scored, plain, strict=True):
        spans = {score.span for score in segment.llm.candidate_scores}
        assert spans == {*candidate_spans(segment, types)}
        assert segment.llm.spans == without.llm.spans
        assert without.llm.candidate_scores is None
        n_unpredicted += len(spans - {*segment.llm.spans})
    assert n_unpredicted > 20


def test_a_rule_that_stops_reading_at_a_slot_gets_no_scores(stage, predicted):
    gate = Gate(RegionRule(0.3), Budget((0.0,), (1.0,), (1.0, 0.0)), candidate_scores=True)
    answers = [
        s.llm for s in stage(["score.llm.candidates=true"], gate)(UnitSegments("unit-000000", predicted)).segments
    ]
    assert any(answers)
    assert all(answer.candidate_scores is None for answer in answers if answer)
