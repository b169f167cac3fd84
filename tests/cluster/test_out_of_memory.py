"""A unit that runs out of memory starts again at half the budget of tokens, which is told, kept and used again."""

import gc
import json
import logging
import weakref

import pytest
import torch

from rayner.decoding import draft_verify
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.llm.retrieval import ExampleRetriever
from rayner.runs.progress import log
from rayner.steps import score
from rayner.steps.tag import attempts as attempts_module
from rayner.steps.tag.actors import UnitPredictor
from rayner.steps.tag.attempts import run_isolating_failures
from rayner.steps.tag.stages import Attempts, LlmStage, UnitSegments
from rayner.text.predictions import SegmentPrediction, empty_prediction
from tests.checkpoints import decoder_folder, random_llm, sentences, types  # noqa: F401 - fixtures
from tests.cluster.small import copied
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


def test_a_unit_starts_again_at_half_the_budget_and_keeps_it(random_llm, sentences, tmp_path, monkeypatch, messages):  # noqa: F811
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


@pytest.mark.slow
def test_step_score_halves_too_and_a_rerun_with_more_memory_makes_the_same_bytes(
    config, run, tmp_path, monkeypatch, messages
):
    """The real models and the real step, with its actor in this process."""

    def predict_here(names, job):
        predictor = UnitPredictor(job)
        for name in names:
            result = predictor({"unit": name})
            assert result["failure"] is None
            yield score.PredictedUnit(result["amount"], result["not_finite"])

    def scored(device):
        with monkeypatch.context() as patch:
            patch.setattr(score, "predict_units", predict_here)
            device.watch(patch)
            score.predict_held_out_sentences(config, changed)
        [folder] = changed.path("train").glob("scores-*")
        return folder, {path.name: path.read_bytes() for path in folder.glob("*.parquet")}

    changed = copied(run, tmp_path, "steps", "data", "models", "index")
    changed.forget_step("score")
    ample = SmallDevice(10**9)
    folder, free = scored(ample)
    assert not list((folder / "attempts").glob("*")) or all(
        json.loads(path.read_text())["halvings"] == 0 for path in (folder / "attempts").glob("*")
    )
    for path in folder.glob("*.parquet"):
        path.unlink()
    changed.forget_step("score")
    folder, small = scored(SmallDevice(ample.peak // 3))
    halvings = {
        path.name: json.loads(path.read_text())["halvings"] for path in (folder / "attempts").glob("*.llm.json")
    }
    assert halvings
    assert min(halvings.values()) > 0
    assert any("out of memory: starts again with 1/2 of the batch size" in message for message in messages.messages)
    assert small.keys() == free.keys()
    # A unit is lost; memory is enough now, but the unit's budget is the one that was kept.
    lost = next(iter(halvings)).replace(".llm.json", ".parquet")
    (folder / lost).unlink()
    changed.forget_step("score")
    assert scored(SmallDevice(10**9))[1] == small
    assert (folder / "attempts" / lost.replace(".parquet", ".llm.json")).exists()


def test_the_names_that_a_small_device_watches_exist():
    assert callable(draft_verify.join_and_preallocate_caches)
    assert callable(draft_verify.slice_cache)
