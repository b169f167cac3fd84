"""The main job with a CRF as the small model: every step takes it for what it gives, labels and entropies."""

import dataclasses

import pytest

from rayner.cluster import data
from rayner.cluster.pipeline import pipeline
from rayner.cluster.score import read
from rayner.cluster.trained import knows, tagger
from rayner.config import CrfConfig, IndexConfig
from rayner.errors import ConfigError
from rayner.run import Run, folder_digest, read_json
from rayner.settings import check
from tests.cluster.small import readable_texts, rows_of, stamps, with_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def with_crf(config, local_ray, tmp_path_factory):
    """The configuration and the run: the LLM learns a little only."""
    folder = tmp_path_factory.mktemp("crf")
    made = dataclasses.replace(config, run=str(folder / "run"), index=IndexConfig(encoder="ngrams", k=1))
    made = with_settings(made, "slm", family="crf", crf=CrfConfig(iterations=30))
    made = with_settings(made, "llm", full_epochs=1, max_steps=2, epochs=0)
    pipeline(made, Run(folder / "run"))
    return made, Run(folder / "run")


def test_the_whole_corpus_is_tagged(with_crf):
    _, run = with_crf
    documents = {row["doc_id"]: row["text"] for row in rows_of(run.path("tagged"), "documents")}
    assert documents == readable_texts()
    assert {row["decided_by"] for row in rows_of(run.path("tagged"), "entities")} <= {"agree", "slm", "llm"}
    assert len(rows_of(run.path("tagged"), "entities")) > 10


def test_it_finds_entities_it_was_not_trained_on(with_crf):
    _, run = with_crf
    facts = run.facts("train_slm")
    assert facts["dev_f1"] > 0.3
    assert facts["digest"] == folder_digest(run.path("models", "slm"))
    assert read_json(run.path("evaluation.json"))["systems"]["slm"]["micro"]["f1"] > 0.3


def test_held_out_sentences_are_scored_as_one_by_one(with_crf):
    config, run = with_crf
    score = tagger(config, run)
    for row in read(run, "dev")[:20]:
        ((answer, vector),) = score([row.text])
        assert vector is None
        assert answer.spans == row.slm.spans


def test_it_knows_the_characters_it_was_trained_on(with_crf):
    config, run = with_crf
    known = knows(config, run)
    assert all(known(char) for example in data.part(run, "train") for char in example.text)
    assert not known("\U0002ffff")


def test_given_again_the_job_does_nothing_over(with_crf):
    config, run = with_crf
    before = stamps(run.root, "models", "index", "scores", "tagged/entities")
    pipeline(config, run)
    assert stamps(run.root, "models", "index", "scores", "tagged/entities") == before


def test_an_encoder_that_is_not_there_cannot_make_the_index(config):
    with pytest.raises(ConfigError, match=r"^index.encoder: expected `ngrams`"):
        check(with_settings(config, "slm", family="crf"))
