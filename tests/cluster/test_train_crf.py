"""The main job with a CRF as the small model: every step takes it for what it gives, labels and entropies."""

import dataclasses

import pytest

from rayner.config.loading import check_config
from rayner.errors import ConfigError
from rayner.runs.run_folder import folder_sha256, read_json
from rayner.runs.status import status_from_json
from rayner.steps import data
from rayner.steps.loading import knows, load_tagger
from rayner.steps.pipeline import run_pipeline
from rayner.steps.score import read_answered
from rayner.steps.training.train_crf import crf_inputs
from rayner.taggers.crf import load
from tests.cluster.small import readable_texts, rows_of, stamps, with_settings

pytestmark = pytest.mark.slow


def test_the_whole_corpus_is_tagged(with_crf):
    _, run = with_crf
    documents = {row["doc_id"]: row["text"] for row in rows_of(run.path("tagged"), "documents")}
    assert documents == readable_texts()
    assert {row["decided_by"] for row in rows_of(run.path("tagged"), "entities")} <= {"agree", "slm", "llm"}
    assert len(rows_of(run.path("tagged"), "entities")) > 10


def test_it_finds_entities_it_was_not_trained_on(with_crf):
    _, run = with_crf
    facts = run.step_result("train_slm")
    assert facts["dev_f1"] > 0.3
    assert facts["digest"] == folder_sha256(run.path("models", "slm"))
    assert read_json(run.path("evaluation.json"))["systems"]["slm"]["micro"]["f1"] > 0.3


def test_its_training_told_how_far_it_was(with_crf):
    config, run = with_crf
    told = status_from_json(read_json(run.path("train", "crf", "status.json")), "status")
    assert told.current_progress.doing == "SLM (CRF), at most"
    assert 0 < told.done <= told.total == config.slm.crf.iterations


def test_held_out_sentences_are_scored_as_one_by_one(with_crf):
    config, run = with_crf
    score = load_tagger(config, run)
    for row in read_answered(run, "dev")[:20]:
        ((answer, vector),) = score([row.text])
        assert vector is None
        assert answer.spans == row.slm.spans


def test_it_sees_clusters_and_depends_on_the_text_they_were_learned_from(with_crf, tmp_path):
    config, run = with_crf
    assert {len(own) for own in load(run.local_path("models", "slm")).clusters.values()} == {2}
    before = crf_inputs(config, run)
    (tmp_path / "other.txt").write_text("懷王入秦。", encoding="utf-8")
    crf = dataclasses.replace(config.slm.crf, unlabelled=str(tmp_path))
    assert crf_inputs(with_settings(config, "slm", crf=crf), run)["unlabelled"] != before["unlabelled"]
    crf = dataclasses.replace(config.slm.crf, unlabelled=None)
    assert crf_inputs(with_settings(config, "slm", crf=crf), run)["crf"]["clusters"] == []


def test_it_knows_the_characters_it_was_trained_on(with_crf):
    config, run = with_crf
    known = knows(config, run)
    assert all(known(char) for example in data.read_part(run, "train") for char in example.text)
    assert not known("\U0002ffff")


def test_given_again_the_job_does_nothing_over(with_crf):
    config, run = with_crf
    before = stamps(run.root, "models", "index", "scores", "tagged/entities")
    run_pipeline(config, run)
    assert stamps(run.root, "models", "index", "scores", "tagged/entities") == before


def test_an_encoder_that_is_not_there_cannot_make_the_index(config):
    with pytest.raises(ConfigError, match=r"^index.encoder: expected `ngrams`"):
        check_config(with_settings(config, "slm", family="crf"))
