"""Segments that no model can take, actors that die for ever, files that come and go: real actors, really killed."""

import os
import signal
import sys
from dataclasses import replace

import pytest
import ray.cloudpickle

from rayner.config.corpus_settings import CorpusConfig
from rayner.errors import ConfigError, JobError, TooManySetAsideError
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import Run
from rayner.steps.tag import actors
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.text.segmentation import split_sentences
from tests.cluster.small import PLAIN_TEXT, rows_of, with_settings

pytestmark = pytest.mark.slow
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
RAISES, KILLS = "毒酒三升。", "鴆殺其使。"


class PoisonedTagger:
    """A tagger that some texts are too much for."""

    def __init__(self, tagger):
        self.tagger = tagger

    def predict(self, texts):
        if any("鴆" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("毒" in text for text in texts):
            raise ValueError("no such text, please")
        return self.tagger.predict(texts)


class Poisoned(actors.UnitPredictor):
    """Prediction by such a tagger."""

    def __init__(self, job):
        super().__init__(job)
        self.slm.tagger = PoisonedTagger(self.slm.tagger)


class Dying(actors.UnitPredictor):
    """Prediction that never survives a unit."""

    def __call__(self, row):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(actors.UnitPredictor):
    """Prediction that writes to a disk that is full."""

    def __init__(self, job):
        super().__init__(job)
        self.write_unit = full


def full(unit):
    raise OSError(28, "No space left on device")


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.txt").write_text(PLAIN_TEXT * 4, encoding="utf-8")
    (folder / "空.txt").write_text("")
    return folder


def tagging(config, corpus, out, **score):
    return replace(with_settings(config, "score", **score), corpus=CorpusConfig(str(corpus)), out=str(out))


def test_poison_is_set_aside_with_its_reason_and_its_text_is_kept(without_llm, corpus, tmp_path, monkeypatch):
    config, run = without_llm
    text = PLAIN_TEXT * 2 + RAISES + PLAIN_TEXT + KILLS + PLAIN_TEXT
    (corpus / "5.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr(actors, "UnitPredictor", Poisoned)
    out = tmp_path / "out"
    with pytest.raises(TooManySetAsideError, match="2 of 42 segments were set aside"):
        tag_corpus(tagging(config, corpus, out), run)
    aside = {text[s["start"] : s["end"]]: s["error"] for s in rows_of(out, "segments") if s["error"]}
    assert aside == {
        RAISES: "slm: ValueError: no such text, please",
        KILLS: "slm: its process died 2 times while it was tried alone",
    }
    [document] = [row for row in rows_of(out, "documents") if row["doc_id"] == "5"]
    assert document["text"] == text
    own = [(s["start"], s["end"]) for s in rows_of(out, "segments") if s["doc_id"] == "5"]
    assert own == split_sentences(text)
    places = [range(text.index(poison), text.index(poison) + len(poison)) for poison in (RAISES, KILLS)]
    for entity in rows_of(out, "entities"):
        assert entity["doc_id"] != "5" or not any(entity["start"] in place for place in places)
    assert not (out / "attempts").exists()
    assert (out / "evahan" / "5.txt").read_text(encoding="utf-8").count("\n") == len(text)
    tag_corpus(with_settings(tagging(config, corpus, out), "tag", max_set_aside=0.1), run)


def test_an_actor_that_dies_again_and_again_ends_the_job(without_llm, corpus, tmp_path, monkeypatch):
    config, run = without_llm
    monkeypatch.setattr(actors, "UnitPredictor", Dying)
    with pytest.raises(JobError, match="an actor died too often"):
        tag_corpus(tagging(config, corpus, tmp_path / "out", max_restarts=2), run)
    assert not (tmp_path / "out" / "lock.json").exists()


def test_a_full_disk_is_said_in_one_line(without_llm, corpus, tmp_path, monkeypatch):
    config, run = without_llm
    monkeypatch.setattr(actors, "UnitPredictor", Broken)
    with pytest.raises(JobError, match="unit-000000: no space is left; rerun the same command to resume"):
        tag_corpus(tagging(config, corpus, tmp_path / "out"), run)


def test_files_that_change_under_the_job_are_named_and_what_was_read_is_tagged(
    without_llm, corpus, tmp_path, monkeypatch
):
    config, run = without_llm
    out = tmp_path / "out"
    real = actors.predict_units

    def meddling(names, *given, **named):
        (corpus / "0.txt").unlink()
        (corpus / "1.txt").write_text("另一文。", encoding="utf-8")
        yield from real(names, *given, **named)

    monkeypatch.setattr("rayner.steps.tag.tag_corpus.predict_units", meddling)
    facts = tag_corpus(tagging(config, corpus, out), run)
    changed = {str(corpus / "0.txt"): "can no longer be read", str(corpus / "1.txt"): "has another text"}
    assert facts["changed"] == read_json(out / "run.json")["changed"] == changed
    assert facts["empty"] == [str(corpus / "空.txt")]
    assert [row["text"] for row in rows_of(out, "documents")] == [*[PLAIN_TEXT * 4] * 4, ""]
    with pytest.raises(ConfigError, match=r"2 files differ: .*0\.txt can no longer be read; .*1\.txt has another text"):
        tag_corpus(tagging(config, corpus, out), run)


def test_a_second_job_on_the_folder_is_refused_while_the_first_works(without_llm, corpus, tmp_path, monkeypatch):
    config, run = without_llm
    out = tmp_path / "out"
    real = actors.predict_units

    def twice(names, *given, **named):
        with pytest.raises(ConfigError, match=f"{out}.*locked by process {os.getpid()}"):
            tag_corpus(tagging(config, corpus, out), run)
        yield from real(names, *given, **named)

    monkeypatch.setattr("rayner.steps.tag.tag_corpus.predict_units", twice)
    assert tag_corpus(tagging(config, corpus, out), run)["counts"]["documents"] == 5


def test_a_folder_with_tables_of_unknown_origin_is_left_alone(without_llm, corpus, tmp_path):
    config, run = without_llm
    (tmp_path / "out" / "segments").mkdir(parents=True)
    (tmp_path / "out" / "segments" / "unit-000000.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match="found files that rayner did not mark as its own"):
        tag_corpus(tagging(config, corpus, tmp_path / "out"), run)
    assert Run(tmp_path / "out").path("segments", "unit-000000.parquet").read_bytes() == b""
