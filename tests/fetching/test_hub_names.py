"""Names on the hub in settings: with a network, in the cache, and without either."""

import dataclasses
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download

from rayner.checkpoints.fetch import fetch_checkpoint
from rayner.config.settings import Config
from rayner.errors import ConfigError
from rayner.runs.hub_names import find_cached_model
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps import preflight
from rayner.steps.checkpoint_checks import check_and_describe_checkpoint, check_and_describe_checkpoints
from tests.fetching.conftest import NAME, catch_message_at_once, pickle_weights, use_hub
from tests.fetching.hub import COMMIT

ROOT = Path(__file__).parents[2]
fails_fast = partial(catch_message_at_once, ConfigError)


def download_into_cache(name):
    """What a node does when it loads a model by its name."""
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        hf_hub_download(name, file)


def test_a_name_that_can_be_downloaded_is_left_alone(bert):
    assert local_model_name(NAME) == NAME


def test_without_a_network_the_message_names_the_command(no_hub):
    for call, arguments in ((local_model_name, (NAME,)), (check_and_describe_checkpoint, ("llm.model", NAME))):
        said = fails_fast(call, *arguments)
        assert f"`rayner fetch {NAME} FOLDER`" in said
        assert f"{no_hub} cannot be reached (" in said
        assert "storage that all nodes share" in said


def test_offline_mode_is_respected_and_named(bert, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "offline mode is enabled" in fails_fast(local_model_name, NAME)
    assert "HF_HUB_OFFLINE" in fails_fast(check_and_describe_checkpoint, "llm.model", NAME)


def test_a_model_in_the_cache_needs_no_network(hub, bert, monkeypatch):
    assert find_cached_model(NAME) is None
    download_into_cache(NAME)
    use_hub("http://127.0.0.1:9", monkeypatch)
    assert local_model_name(NAME) == NAME
    assert "from this machine's cache of the hub, " in check_and_describe_checkpoint("slm.model", NAME)


def test_a_part_of_a_model_in_the_cache_is_not_enough(hub, bert, monkeypatch):
    hf_hub_download(NAME, "config.json")
    use_hub("http://127.0.0.1:9", monkeypatch)
    assert "cannot be reached" in fails_fast(local_model_name, NAME)


def test_a_dry_run_says_what_each_node_will_download(bert, source):
    said = check_and_describe_checkpoint("slm.model", NAME)
    assert said.startswith(f"{NAME} on the hub, now {COMMIT[:12]}: each node downloads ")
    assert f"downloads {(source / 'model.safetensors').stat().st_size:,} bytes; " in said


def test_a_dry_run_refuses_a_name_whose_weights_are_pickles(bert, source):
    pickle_weights(source, bert)
    said = fails_fast(check_and_describe_checkpoint, "index.encoder", NAME)
    assert said.startswith(f"index.encoder: {NAME}: expected weights in safetensors, found pytorch_model.bin, a pickle")
    assert f"`rayner fetch {NAME} FOLDER`" in said


def test_a_dry_run_refuses_a_name_that_the_hub_does_not_have(hub):
    assert "index.encoder: someone/nothing: expected the name of a model" in fails_fast(
        check_and_describe_checkpoint, "index.encoder", "someone/nothing"
    )


def test_a_dry_run_describes_a_folder_that_was_fetched(bert, tmp_path, no_hub, monkeypatch, hub):
    use_hub(hub.url, monkeypatch)
    fetch_checkpoint(NAME, tmp_path / "fetched")
    use_hub(no_hub, monkeypatch)
    base = Config()
    config = dataclasses.replace(base, slm=dataclasses.replace(base.slm, model=str(tmp_path / "fetched")))
    (line,) = check_and_describe_checkpoints(config)
    n = sum(value.numel() for value in bert.parameters())
    assert line == f"slm.model: {tmp_path / 'fetched'}: {n:,} parameters in float32, 1 file of {n * 4:,} bytes"


def test_a_dry_run_of_training_refuses_a_checkpoint_with_damaged_weights(bert, source, tmp_path):
    sentences = (f"懷\tB-NR\n{char}\tE-NR\n。\tO\n" for char in "甲乙丙丁戊己庚辛壬癸")
    (tmp_path / "train.txt").write_text("".join(sentences), encoding="utf-8")
    base = Config(train=[str(tmp_path / "train.txt")])
    config = dataclasses.replace(base, slm=dataclasses.replace(base.slm, model=str(source)))
    lines = preflight.check_and_describe_training(config, Run(tmp_path / "run"))
    assert any(line.startswith(f"slm.model: {source}: ") for line in lines)
    path = source / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    said = fails_fast(preflight.check_and_describe_training, config, Run(tmp_path / "run"))
    assert said.startswith(f"slm.model: {path}: expected ")
    assert "copied in part" in said


@pytest.mark.slow
def test_a_job_on_a_machine_without_a_network_ends_at_once(no_hub, tmp_path):
    command = [
        sys.executable, "jobs/pipeline.py", "--config", "jobs/conf/paper.yaml", "train=sample/labelled.txt",
        f"run={tmp_path / 'run'}", "--dry-run",
    ]  # fmt: skip
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "rayner fetch hsc748NLP/GujiRoBERTa_jian_fan FOLDER" in done.stderr
    assert "Retrying" not in done.stderr
    assert time.monotonic() - start < 60
