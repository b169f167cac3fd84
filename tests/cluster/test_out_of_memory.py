"""A unit that runs out of memory starts again at half the budget of tokens, which is told, kept and used again."""

import gc
import json
import logging
import shutil
import weakref

import pytest
import torch

from rayner.config.loading import load_config
from rayner.corpus.labelled_sentences import write_labelled_sentences
from rayner.decoding import draft_verify
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.llm.description import LlmDescription, write_llm_description
from rayner.llm.retrieval import ExampleRetriever
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import score
from rayner.steps.tag import actors
from rayner.steps.tag import attempts as attempts_module
from rayner.steps.tag.actors import UnitPredictor
from rayner.steps.tag.attempts import run_isolating_failures
from rayner.steps.tag.stages import Attempts, LlmStage, PredictedUnit, UnitSegments
from rayner.taggers.encoder import load_encoder_tagger, save_encoder_tagger
from rayner.text.predictions import SegmentPrediction, empty_prediction
from tests.checkpoints import CPU
from tests.decoding.test_draft_verify import same
from tests.decoding.test_token_budget import LiveTokens


class SmallDevice(LiveTokens):
    """A device whose memory holds so many tokens. It refuses more, as CUDA does."""

    def __init__(self, n_tokens):
        super().__init__()
        self.n_tokens, self.refused = n_tokens, 0

    def add(self, holder, n_tokens):
        super().add(holder, n_tokens)
        if sum(count for _, count in self.alive) > self.n_tokens:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture
def messages(caplog, monkeypatch):
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(log, "propagate", False)
    caplog.set_level(logging.WARNING, logger="rayner")
    return caplog


def llm_stage(llm, train, folder):
    """The real stage over a real LLM, without a run folder."""
    stage = LlmStage.__new__(LlmStage)
    stage.gate, stage.group_size, stage.attempts = None, 1, Attempts(folder, "job")
    stage.max_chars, stage.overlap = 60, 10
    stage.scores_candidates = stage.shows_hints = False
    stage.engine = DraftVerifyEngine(llm, softmax_over="all", batch_size=32, batch_tokens=65_536)
    stage.retriever = ExampleRetriever("fixed", 2, train)
    return stage


def unit_of(labelled):
    segments = [SegmentPrediction("d", 0, len(e.text), e.text, empty_prediction(len(e.text))) for e in labelled]
    return UnitSegments("unit-000007", segments)


def predict_on_device(monkeypatch, llm, labelled, folder, n_tokens):
    device = SmallDevice(n_tokens)
    with monkeypatch.context() as patch:
        device.watch(patch)
        stage = llm_stage(llm, labelled[100:200], folder)
        device.shapes = []
        return stage(unit_of(labelled[:40])), device


def test_a_unit_starts_again_at_half_the_budget_and_keeps_it(random_llm, sentences, tmp_path, monkeypatch, messages):
    _, ample = predict_on_device(monkeypatch, random_llm, sentences, tmp_path / "ample", 10**9)
    free, _ = predict_on_device(monkeypatch, random_llm, sentences, tmp_path / "free", 10**9)
    assert free.llm_halvings == 0
    assert messages.messages == []
    small, device = predict_on_device(monkeypatch, random_llm, sentences, tmp_path, ample.peak // 3)
    assert small.llm_halvings == device.refused > 1
    told = [message.partition(" (")[0] for message in messages.messages]
    assert told == [
        f"unit-000007.llm: out of memory: starts again with 1/{2**n} of the batch size, in segments and in tokens, "
        "and keeps that size for later jobs"
        for n in range(1, device.refused + 1)
    ]
    assert all(segment.llm is not None and segment.error is None for segment in small.segments)
    for one, other in zip(small.segments, free.segments, strict=True):
        same(one.llm, other.llm)
    note = json.loads((tmp_path / "unit-000007.llm.json").read_text())
    assert note["halvings"] == small.llm_halvings
    # Another job with enough memory makes the same batches, so the same bytes.
    again, enough = predict_on_device(monkeypatch, random_llm, sentences, tmp_path, 10**9)
    assert again.llm_halvings == small.llm_halvings
    assert enough.refused == 0
    assert enough.shapes == device.shapes[-len(enough.shapes) :]
    assert max(rows for rows, _, _ in enough.shapes) > 1
    for one, other in zip(small.segments, again.segments, strict=True):
        same(one.llm, other.llm, atol=0)


def test_memory_is_freed_once_nothing_refers_to_the_error(monkeypatch):
    """An error's traceback holds the tensors of the prediction that failed."""
    freed = []

    class Tensor:
        pass

    def predict(texts, halvings):
        if not halvings:
            held = Tensor()
            freed.append(weakref.ref(held))
            raise MemoryError
        return list(texts)

    def free():
        gc.collect()
        freed.append(freed[0]() is None)

    monkeypatch.setattr(attempts_module, "_free_memory", free)
    assert run_isolating_failures(predict, ["a"], None, "job").halvings == 1
    assert freed[1:] == [True]


@pytest.fixture
def trained(tmp_path, encoder_folder, decoder_folder, labels, types, sentences):
    """A run folder with small models and held-out sentences, made without training, and its settings."""
    run = Run(tmp_path / "run")
    run.path("models", "llm").mkdir(parents=True)
    tagger = load_encoder_tagger(encoder_folder, CPU, labels)
    save_encoder_tagger(tagger, run.path("models", "slm"))
    shutil.copytree(decoder_folder, run.path("models", "llm", "base"))
    write_llm_description(run.path("models", "llm"), LlmDescription("base", None, "標注：", tuple(types)))
    run.path("data").mkdir()
    for part, chosen in (("train", sentences[100:]), ("dev", sentences[:40]), ("test", sentences[40:60])):
        write_labelled_sentences(run.path("data", f"{part}.jsonl"), chosen)
    for step in ("data", "train_slm", "train_llm"):
        run.run_step(step, {}, dict)
    config = load_config(None, ["llm.examples=fixed", "index.k=2", "score.unit_chars=400", "device=cpu"])
    return config, run


def predict_here(names, job):
    """Predict units as an actor does, in this process."""
    predictor = UnitPredictor(job)
    for name in names:
        result = predictor({"unit": name})
        assert result["failure"] is None
        yield PredictedUnit(result["amount"], result["not_finite"])


def score_on_device(monkeypatch, config, run, n_tokens):
    """Run the real step with the real models; return the units' files and the halvings that are kept."""
    device = SmallDevice(n_tokens)
    with monkeypatch.context() as patch:
        patch.setattr(score, "predict_units", predict_here)
        patch.setattr(actors, "start_logging", lambda: None)  # the test has its own handler
        patch.setattr(Run, "remove_resume_files", lambda *_: None)  # what a killed step would leave is looked at
        device.watch(patch)
        score.predict_held_out_sentences(config, run)
    [folder] = run.path("train").glob("scores-*")
    notes = {path.name: json.loads(path.read_text())["halvings"] for path in folder.glob("attempts/*.llm.json")}
    return {path: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}, notes, device


def test_step_score_halves_too_and_a_rerun_with_more_memory_makes_the_same_bytes(trained, monkeypatch, messages):
    config, run = trained
    free, notes, ample = score_on_device(monkeypatch, config, run, 10**9)
    assert notes == {}
    assert len(free) > 2
    for path in free:
        path.unlink()
    run.forget_step("score")
    small, notes, device = score_on_device(monkeypatch, config, run, ample.peak // 3)
    assert device.refused > 0
    assert max(notes.values()) > 0
    assert any("out of memory: starts again with 1/2 of the batch size" in message for message in messages.messages)
    assert small.keys() == free.keys()
    # A unit is lost. Memory is enough now, but the unit's batches are the ones that were kept.
    halved = next(name for name, halvings in notes.items() if halvings)
    next(path for path in small if path.name == halved.replace(".llm.json", ".parquet")).unlink()
    run.forget_step("score")
    again, kept, ample = score_on_device(monkeypatch, config, run, 10**9)
    assert (again, kept) == (small, notes)
    assert ample.peak > 0
    assert ample.refused == 0


def test_the_names_that_a_small_device_watches_exist():
    assert callable(draft_verify.join_and_preallocate_caches)
    assert callable(draft_verify.slice_cache)
