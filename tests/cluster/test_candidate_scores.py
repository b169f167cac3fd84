"""A run whose LLM scores the candidates: none is left out, the learned rule reads them, all ways to tag agree."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.loading import load_config
from rayner.corpus.prediction_tables import read_predictions
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.fusion.budget import Budget
from rayner.fusion.calibration import Calibration
from rayner.fusion.learned.span_features import CANDIDATE_SCORE_FEATURES, candidate_spans
from rayner.fusion.region_rule import RegionRule
from rayner.llm.retrieval import ExampleRetriever
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps import llm_loading
from rayner.steps.fusion_rules import read_tuned_fusion, write_tuned_fusion
from rayner.steps.tag.llm_gate import Gate
from rayner.steps.tag.stages import LlmStage, UnitSegments
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.text.predictions import SegmentPrediction, decode_log_probs
from rayner.text.tags import bmes_labels
from tests.cluster.small import PLAIN_TEXT, files_of, rows_of, with_settings
from tests.cluster.test_fusing_again import same_but_for_rounding


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


@pytest.mark.slow
def test_every_candidate_of_the_held_out_sentences_is_scored(with_crf):
    _, run = with_crf
    types, n_scores = run.entity_types(), 0
    for path in ("scores/dev.parquet", "scores/test.parquet", "folds/0/scores/fold.parquet"):
        for row in read_predictions(run.local_path(path)):
            scored = {score.span for score in row.llm.candidate_scores}
            assert scored == {*candidate_spans(row, types)}, row.text
            n_scores += len(scored)
    assert n_scores > 20


@pytest.mark.slow
def test_the_fusion_reads_the_scores_and_its_control_does_not(with_crf):
    fusion = read_tuned_fusion(with_crf[1])
    assert fusion.span_rule.candidate_scores
    assert not fusion.control.span_rule.candidate_scores
    assert fusion.control.span_rule.named_weights["LLM category"] == 0


@pytest.fixture(scope="module")
def settings(with_crf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(3):
        (folder / f"{i}.txt").write_text(PLAIN_TEXT * 3 + "楚懷王入秦而張儀為相。" * (i + 1), encoding="utf-8")
    return replace(with_settings(with_crf[0], "score", unit_chars=60), corpus=CorpusConfig(str(folder)))


@pytest.fixture(scope="module")
def runs(with_crf, tmp_path_factory):
    """One tags with a rule that the scores decide, the other by regions and never reads on to the end."""
    made = {}
    for name in ("spans", "regions"):
        folder = tmp_path_factory.mktemp("runs") / name
        shutil.copytree(with_crf[1].root, folder)
        made[name] = Run(folder)
        fusion = read_tuned_fusion(made[name])
        named = fusion.span_rule.named_weights
        weights = tuple(0.5 if key in CANDIDATE_SCORE_FEATURES else value / 4 for key, value in named.items())
        rule = replace(fusion.span_rule, weights=weights, threshold=0.5)
        fusion = replace(fusion, chosen=name, calibration=Calibration(), span_rule=rule, region_rule=RegionRule(0.02))
        write_tuned_fusion(made[name], fusion)
    return made


@pytest.mark.slow
@pytest.mark.drill
def test_gate_drafts_and_fusing_again_give_the_tags_of_a_whole_reading(runs, settings, tmp_path):
    def tagged(name, run="spans", **others):
        out = tmp_path / name
        tag_corpus(replace(settings, out=str(out), **others), runs[run])
        return out

    plain = tagged("plain")
    assert rows_of(plain, "entities")
    score = replace(settings.score, draft=False)
    for other in (tagged("greedy", score=score), tagged("open", gate=replace(settings.gate, exact=False))):
        same_but_for_rounding(other, plain, "entities")
    again = tagged("again", run="regions")
    assert rows_of(again, "entities") != rows_of(plain, "entities")
    tagged("again")
    for table in ("entities", "segments"):
        same_but_for_rounding(again, plain, table)
    before = files_of(plain)
    tagged("plain")
    assert files_of(plain) == before
