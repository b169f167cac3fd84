"""The main job with a CRF as the small model: every step takes it for what it gives, labels and entropies."""

import dataclasses

import pytest

from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.errors import ConfigError
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import folder_sha256
from rayner.runs.status import status_from_json
from rayner.steps import data
from rayner.steps.loading import load_known_characters, load_tagger
from rayner.steps.pipeline import run_pipeline
from rayner.steps.score import read_predictions_with_llm_answer
from rayner.steps.training import train_slm
from rayner.taggers.crf import load_crf
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
    told = status_from_json(read_json(run.path("train", "slm", "status.json")), "status")
    assert told.current_progress.doing == "SLM (CRF), at most"
    assert 0 < told.done <= told.total == config.slm.crf.max_iterations


def test_held_out_sentences_are_scored_as_one_by_one(with_crf):
    config, run = with_crf
    tagger = load_tagger(config, run)
    for row in read_predictions_with_llm_answer(run, "dev")[:20]:
        (prediction,) = tagger.predict([row.text])
        assert prediction.sentence_vector is None
        assert prediction.spans == row.slm.spans


def test_it_sees_clusters_and_depends_on_the_text_they_were_learned_from(with_crf, tmp_path):
    config, run = with_crf
    assert {len(own) for own in load_crf(run.local_path("models", "slm")).clusters.values()} == {2}

    def training_inputs(crf):
        return train_slm.collect_manifest_inputs(with_settings(config, "slm", crf=crf), run)

    key = "slm.crf.unlabelled"
    before = training_inputs(config.slm.crf)
    (tmp_path / "other.txt").write_text("懷王入秦。", encoding="utf-8")
    crf = dataclasses.replace(config.slm.crf, unlabelled=str(tmp_path))
    assert training_inputs(crf)[key] != before[key]
    crf = dataclasses.replace(config.slm.crf, unlabelled=None)
    assert not {key, "slm.crf.clusters"} & set(training_inputs(crf))


def test_it_knows_the_characters_it_was_trained_on(with_crf):
    config, run = with_crf
    known_characters = load_known_characters(config, run)
    assert all(char in known_characters for example in data.read_part(run, "train") for char in example.text)
    assert "\U0002ffff" not in known_characters


def test_given_again_the_job_does_nothing_over(with_crf):
    config, run = with_crf
    before = stamps(run.root, "models", "index", "scores", "tagged/entities")
    run_pipeline(config, run)
    assert stamps(run.root, "models", "index", "scores", "tagged/entities") == before


def test_an_encoder_that_is_not_there_cannot_make_the_index(config):
    with pytest.raises(ConfigError, match=r"^index.encoder: expected `ngrams`"):
        check_setting_values_and_combinations(with_settings(config, "slm", family="crf"))
