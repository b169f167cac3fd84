"""Pretraining on Ray Train: killed and resumed with equal weights, and fine-tuned from its folder without ado."""

import dataclasses
import re

import pytest
import torch
from safetensors.torch import load_file

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.pretrain_settings import PretrainConfig
from rayner.errors import ConfigError
from rayner.pretraining.length import first_falling_step
from rayner.pretraining.record import RECORD_FILE, read_pretraining_record
from rayner.runs.run_folder import Run, folder_sha256
from rayner.steps.loading import load_tagger
from rayner.steps.pretraining.pretrain import check_and_describe_pretraining, pretrain
from rayner.steps.training.train_slm import train_slm
from tests.cluster.small import ONE, SAMPLE, SHAPE, TWO, with_settings
from tests.cluster.test_training_faults import started  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow
TINY = PretrainConfig(
    scratch=SHAPE, steps=24, hours=0, batch_size=8, window_tokens=32, lr=1e-3, warmup_steps=4, held_out=16, workers=TWO
)


@pytest.fixture
def pretraining(config, tmp_path):
    """The configuration of a tiny pretraining on the sample's corpus, into a folder of a name."""

    def make(name, **settings):
        return dataclasses.replace(
            config,
            corpus=CorpusConfig(str(SAMPLE / "corpus")),
            run=str(tmp_path / f"{name}.run"),
            out=str(tmp_path / name),
            pretrain=dataclasses.replace(TINY, **settings),
        )

    return make


def equal_weights(one, other, name="model.safetensors"):
    here, there = load_file(one / name), load_file(other / name)
    return here.keys() == there.keys() and all(here[key].equal(there[key]) for key in here)


@pytest.mark.drill
def test_a_training_of_some_hours_that_is_killed_ends_like_one_of_as_many_steps(
    local_ray,
    pretraining,
    tmp_path,
    started,  # noqa: F811 - the fixture
):
    by_hours = pretraining("killed", hours=14 / 3600, steps=0, checkpoint_minutes=1e-6)
    job = started("pretrain.py", by_hours, Run(tmp_path / "killed.run"), tmp_path, pace=0.5)
    before = job.wait_for_checkpoint("pretrain", lambda metrics: metrics["step"] >= 3)
    job.kill()
    job.start()
    job.end()
    resumed = re.findall(r"pretraining: resumes after step (\d+), from its checkpoint", job.said())
    assert [int(step) for step in resumed if int(step) >= before["step"]] != []
    training = read_pretraining_record(tmp_path / "killed").training
    assert training.steps > before["step"]
    assert training.first_falling_step == first_falling_step(training.steps)
    by_steps = pretraining("whole", hours=0, steps=training.steps, checkpoint_minutes=0)
    pretrain(by_steps, Run(tmp_path / "whole.run"))
    assert equal_weights(tmp_path / "killed", tmp_path / "whole")
    assert equal_weights(tmp_path / "killed", tmp_path / "whole", "generator/model.safetensors")
    assert read_pretraining_record(tmp_path / "whole").training == training


def test_what_was_pretrained_is_fine_tuned_and_pretrained_further(local_ray, config, pretraining, tmp_path):
    labelled = config.train[0]
    settings = pretraining("encoder", exclude=[labelled], steps=12, workers=ONE)
    mine = Run(tmp_path / "encoder.run")
    facts = pretrain(settings, mine)
    folder = tmp_path / "encoder"
    record = read_pretraining_record(folder)
    assert record.text.labelled_sentences > 200
    assert record.text.left_out != ()
    assert record.training.held_out_windows == min(16, record.training.windows // 10)
    assert facts["held_out_loss"] == record.training.held_out_loss == record.training.held_out_losses["12"]

    # Given again, the command writes nothing new; with other settings it is refused; a lost folder is written again.
    digest = folder_sha256(folder)
    assert pretrain(settings, mine) == facts
    assert folder_sha256(folder) == digest
    other = dataclasses.replace(settings, pretrain=dataclasses.replace(settings.pretrain, lr=0.5))
    for folder_of_run in (mine, Run(tmp_path / "new.run")):
        with pytest.raises(ConfigError, match=r"with an encoder made from other inputs \(pretrain.lr\): name another"):
            check_and_describe_pretraining(other, folder_of_run)
    (folder / RECORD_FILE).unlink()
    pretrain(settings, mine)
    assert folder_sha256(folder) == digest

    tuned = Run(tmp_path / "run")
    slm = with_settings(config, "slm", model=str(folder), epochs=1, lr=1e-3, workers=ONE)
    assert 0 <= train_slm(slm, tuned)["dev_f1"] <= 1
    tagger = load_tagger(slm, tuned)
    assert tagger.model.config.model_type == "electra"
    assert tagger.model.config.hidden_dropout_prob == SHAPE.dropout
    started_from = load_file(folder / "model.safetensors")["electra.encoder.layer.0.attention.self.query.weight"]
    ended_with = tagger.model.electra.encoder.layer[0].attention.self.query.weight.detach()
    assert 0 < float((ended_with - started_from).abs().max()) < 0.3  # not another random matrix
    assert torch.nn.functional.cosine_similarity(ended_with.flatten(), started_from.flatten(), dim=0) > 0.5

    further = pretraining("further", start=str(folder), steps=3, warmup_steps=0, workers=ONE)
    assert check_and_describe_pretraining(further, Run(tmp_path / "further.run"))[0].startswith("pretrain.start: ")
    pretrain(further, Run(tmp_path / "further.run"))
    again = read_pretraining_record(tmp_path / "further").training
    assert again.held_out_loss < record.training.held_out_loss
    assert (tmp_path / "further" / "generator" / "model.safetensors").is_file()


def test_masked_characters_are_learned_in_bfloat16_too(local_ray, pretraining, tmp_path):
    settings = pretraining("masked", objective="masked", dtype="bfloat16", steps=40, workers=ONE)
    pretrain(settings, Run(tmp_path / "masked.run"))
    training = read_pretraining_record(tmp_path / "masked").training
    assert [*training.held_out_losses] == ["40"]
    assert 0 < training.held_out_loss < 7.1  # of some 1,200 characters, by chance
    weights = load_file(tmp_path / "masked" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert "bert.embeddings.word_embeddings.weight" in weights


def test_a_training_that_diverges_ends_with_one_clear_error(local_ray, pretraining, tmp_path):
    settings = pretraining("diverging", lr=1e30, warmup_steps=0, workers=ONE)
    with pytest.raises(Exception, match=r"expected a finite loss and finite weights, found NaN .* lower pretrain.lr"):
        pretrain(settings, Run(tmp_path / "diverging.run"))
    assert not (tmp_path / "diverging").exists()
