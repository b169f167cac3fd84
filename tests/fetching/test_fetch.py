"""`rayner fetch` against a local hub: what arrives, what is refused, and how it resumes."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, safe_open

from rayner.checkpoints import fetch as fetching
from rayner.checkpoints.fetch import fetch_checkpoint
from rayner.checkpoints.record import read_checkpoint_record
from rayner.cli import main
from rayner.errors import ConfigError, DataError, JobError
from rayner.llm.sentence_encoders import load_sentence_encoder
from rayner.runs.run_folder import file_sha256, folder_sha256
from rayner.taggers import encoder
from tests.checkpoints import CPU, load_llm
from tests.fetching.conftest import NAME, catch_message, catch_message_at_once, pickle_weights
from tests.fetching.hub import COMMIT, OTHER_COMMIT, TOKEN
from tests.test_security import Bomb

ROOT = Path(__file__).parents[2]
ERRORS = ConfigError, DataError, JobError
refused = partial(catch_message, ERRORS)
LABELS = ["O", "B-NR", "M-NR", "E-NR", "S-NR"]
KEPT = {
    "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "rayner-checkpoint.json",
    ".rayner-output",
}  # fmt: skip


@pytest.fixture
def target(tmp_path):
    return tmp_path / "fetched"


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def same_weights(model, expected):
    found = model.state_dict()
    return all(torch.equal(value, found[name]) for name, value in expected.state_dict().items())


# ---- what arrives


def test_configuration_tokenizer_and_safetensors_arrive_and_nothing_else(bert, source, target):
    record = fetch_checkpoint(NAME, target)
    assert names(target) == KEPT
    assert (record.name, record.revision, record.converted_from) == (NAME, COMMIT, ())
    assert {file.name: file.sha256 for file in record.files} == {
        name: file_sha256(source / name) for name in KEPT - {"rayner-checkpoint.json", ".rayner-output"}
    }
    assert read_checkpoint_record(target) == record
    assert same_weights(load_sentence_encoder(target, CPU).model, bert.bert)


@pytest.mark.parametrize("shards", [1, 3])
def test_pickled_weights_of_an_encoder_are_converted_and_load_as_the_small_model(bert, source, target, shards):
    pickle_weights(source, bert, shards)
    record = fetch_checkpoint(NAME, target)
    assert not [name for name in names(target) if name.endswith((".bin", ".py", ".part"))]
    assert {file.name: file.sha256 for file in record.converted_from} == {
        path.name: file_sha256(path) for path in source.glob("pytorch_model*.bin")
    }
    tagger = encoder.load_encoder_tagger(target, CPU, LABELS)
    assert same_weights(tagger.model.bert, bert.bert) or all(
        torch.equal(value, tagger.model.bert.state_dict()[name])
        for name, value in bert.bert.state_dict().items()
        if name in tagger.model.bert.state_dict()
    )


@pytest.mark.parametrize("shards", [1, 2])
def test_pickled_weights_of_a_decoder_are_converted_and_load_as_the_llm(qwen, source, target, shards):
    pickle_weights(source, qwen, shards)
    fetch_checkpoint(NAME, target)
    assert same_weights(load_llm(target, ["NR"], instruction="").model, qwen)


def test_every_tensor_of_the_pickle_is_written_also_those_that_share_memory(bert, source, target):
    pickle_weights(source, bert)
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    tied = state["cls.predictions.decoder.weight"], state["bert.embeddings.word_embeddings.weight"]
    assert tied[0].data_ptr() == tied[1].data_ptr()
    fetch_checkpoint(NAME, target)
    converted = load_file(target / "model.safetensors")
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], value) for name, value in state.items())
    with safe_open(target / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_whoever_may_read_the_configuration_may_read_the_converted_weights(bert, source, target):
    """Other users read a checkpoint on shared storage. safetensors itself writes files for their owner alone."""
    pickle_weights(source, bert)
    fetch_checkpoint(NAME, target)
    modes = {(target / name).stat().st_mode for name in ("config.json", "model.safetensors", "rayner-checkpoint.json")}
    assert len(modes) == 1


def test_weights_of_older_versions_of_torch_and_names_of_older_versions_of_bert_are_read(bert, source, target):
    """As sikuroberta and its like were published: no zip archive, LayerNorm's weights called gamma and beta."""
    pickle_weights(source, bert)
    path = source / "pytorch_model.bin"
    old = {
        re.sub("(?<=LayerNorm.)(weight|bias)", lambda m: {"weight": "gamma", "bias": "beta"}[m[0]], name): value + 0.5
        for name, value in torch.load(path, weights_only=True).items()
    }
    assert any(name.endswith("LayerNorm.gamma") for name in old)
    torch.save(old, path, _use_new_zipfile_serialization=False)
    fetch_checkpoint(NAME, target)
    found = load_sentence_encoder(target, CPU).model.state_dict()
    for name in ("embeddings.LayerNorm.weight", "encoder.layer.1.output.LayerNorm.bias"):
        assert torch.equal(found[name], bert.bert.state_dict()[name] + 0.5)


def test_a_folder_is_converted_without_any_hub(no_hub, tmp_path, source, target, bert):
    pickle_weights(source, bert)
    record = fetch_checkpoint(str(source), target)
    assert (record.name, record.revision) == (str(source), None)
    assert [file.name for file in record.converted_from] == ["pytorch_model.bin"]
    assert names(target) == KEPT
    assert (source / "pytorch_model.bin").is_file()
    assert load_sentence_encoder(target, CPU)


def test_two_fetches_of_the_same_checkpoint_are_equal_to_the_byte(bert, source, tmp_path):
    pickle_weights(source, bert, 2)
    for folder in ("one", "two"):
        fetch_checkpoint(NAME, tmp_path / folder)
    assert folder_sha256(tmp_path / "one") == folder_sha256(tmp_path / "two")


def test_a_hub_that_tells_no_sizes_will_do(hub, bert, source, target):
    hub.repositories[NAME].has_digests = False
    fetch_checkpoint(NAME, target)
    assert file_sha256(target / "model.safetensors") == file_sha256(source / "model.safetensors")


def test_the_command_says_what_it_has_fetched(bert, source, target, capsys):
    pickle_weights(source, bert)
    assert main(["fetch", NAME, str(target), "--revision", "main"]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(
        rf"{target}: 4 files, \d\.\d MiB, {NAME} at {COMMIT}, converted from pytorch_model.bin\n", said.out
    )
    assert "converting pytorch_model.bin to model.safetensors" in said.err
    assert re.search(r"download ([\d,]+)/\1 bytes", said.err)
    assert "Traceback" not in said.err


# ---- interruptions


def test_a_download_that_breaks_off_is_continued_where_it_broke_off(hub, bert, source, target):
    hub.cut["model.safetensors"] = [20_000, 10_000]
    fetch_checkpoint(NAME, target)
    assert [request.range for request in hub.of("model.safetensors")] == [None, "bytes=20000-", "bytes=30000-"]
    assert file_sha256(target / "model.safetensors") == file_sha256(source / "model.safetensors")


def test_a_hub_that_sends_no_data_any_more_is_given_up(hub, bert, target, monkeypatch):
    monkeypatch.setattr("rayner.checkpoints.hub.time.sleep", lambda seconds: None)
    hub.cut["model.safetensors"] = [20_000, *[0] * 20]
    said = refused(fetch_checkpoint, NAME, target)
    assert said.startswith("model.safetensors: ")
    assert said.endswith("rerun the same command to resume")
    assert len(hub.of("model.safetensors")) < 10
    assert not (target / "config.json").exists()
    hub.cut.clear()
    fetch_checkpoint(NAME, target)
    assert hub.of("model.safetensors")[-1].range == "bytes=20000-"


@pytest.mark.slow
def test_a_killed_download_is_continued_by_the_same_command(hub, bert, source, target):
    hub.cut["model.safetensors"], hub.stall = [30_000], threading.Event()
    command = [sys.executable, "-m", "rayner", "fetch", NAME, str(target)]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    part = target / ".download" / COMMIT / "model.safetensors.part"
    for _ in range(600):
        if part.exists() and part.stat().st_size:
            break
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    hub.stall.set()
    size = part.stat().st_size
    assert 0 < size <= 30_000
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert hub.of("model.safetensors")[-1].range == f"bytes={size}-"
    assert names(target) == KEPT
    assert file_sha256(target / "model.safetensors") == file_sha256(source / "model.safetensors")


def test_an_interrupted_conversion_is_continued(bert, source, target, monkeypatch):
    pickle_weights(source, bert, 3)
    from rayner.checkpoints import pickle_conversion

    right, converted = pickle_conversion.convert_pickle, []

    def convert(from_path, to_path):
        if len(converted) == 1:
            raise KeyboardInterrupt
        converted.append(from_path.name)
        right(from_path, to_path)

    monkeypatch.setattr(pickle_conversion, "convert_pickle", convert)
    with pytest.raises(KeyboardInterrupt):
        fetch_checkpoint(NAME, target)
    assert names(target) & KEPT == {".rayner-output"}
    monkeypatch.setattr(pickle_conversion, "convert_pickle", lambda a, b: (converted.append(a.name), right(a, b)))
    fetch_checkpoint(NAME, target)
    assert converted == [f"pytorch_model-0000{i}-of-00003.bin" for i in (1, 2, 3)]
    assert load_sentence_encoder(target, CPU)


def test_a_kill_while_the_files_are_moved_loses_nothing(hub, bert, target, monkeypatch):
    moved = []

    def move(output, source, name):
        if moved:
            raise KeyboardInterrupt
        moved.append(name)
        return right(output, source, name)

    right, save_marker = fetching.OutputFolder.move_in, fetching.OutputFolder.save_marker
    monkeypatch.setattr(fetching.OutputFolder, "move_in", move)
    monkeypatch.setattr(fetching.OutputFolder, "save_marker", lambda output: None)  # a killed process writes none
    with pytest.raises(KeyboardInterrupt):
        fetch_checkpoint(NAME, target)
    monkeypatch.setattr(fetching.OutputFolder, "move_in", right)
    monkeypatch.setattr(fetching.OutputFolder, "save_marker", save_marker)
    fetch_checkpoint(NAME, target)
    assert names(target) == KEPT


def test_a_file_that_arrives_damaged_is_not_kept(hub, bert, target):
    for name in ("config.json", "model.safetensors"):  # with the id of git, and with a SHA-256
        hub.spoiled = {name}
        said = refused(fetch_checkpoint, NAME, target)
        assert said.startswith(f"{name}: expected the content with digest ")
        assert not (target / "config.json").exists()
    hub.spoiled = set()
    fetch_checkpoint(NAME, target)
    assert names(target) == KEPT


# ---- folders


def test_a_second_call_does_nothing(hub, bert, target):
    first = fetch_checkpoint(NAME, target)
    before, n_requests = folder_sha256(target), len(hub.of("model.safetensors"))
    lines = []
    assert fetch_checkpoint(NAME, target, print_line=lines.append) == first
    assert lines == [f"{target}: nothing to do, all files are there, unchanged"]
    assert (folder_sha256(target), len(hub.of("model.safetensors"))) == (before, n_requests)


def test_a_file_that_was_lost_is_fetched_again_and_one_that_was_changed_is_kept(bert, target):
    fetch_checkpoint(NAME, target)
    before = folder_sha256(target)
    (target / "model.safetensors").unlink()
    fetch_checkpoint(NAME, target)
    assert folder_sha256(target) == before
    (target / "config.json").write_text("{}")
    assert "changed since" in refused(fetch_checkpoint, NAME, target)
    assert (target / "config.json").read_text() == "{}"


def test_another_revision_does_not_replace_a_checkpoint(hub, bert, target):
    fetch_checkpoint(NAME, target)
    before = folder_sha256(target)
    hub.repositories[NAME].commit = OTHER_COMMIT
    said = refused(fetch_checkpoint, NAME, target)
    assert OTHER_COMMIT in said
    assert f"--revision {COMMIT}" in said
    hub.repositories["someone/other"] = hub.repositories[NAME]
    assert "name another folder" in refused(fetch_checkpoint, "someone/other", target)
    assert folder_sha256(target) == before


def test_what_was_left_of_another_revision_is_not_mixed_in(hub, bert, source, target, monkeypatch):
    monkeypatch.setattr("rayner.checkpoints.hub.time.sleep", lambda seconds: None)
    hub.cut["model.safetensors"] = [20_000, *[0] * 20]
    refused(fetch_checkpoint, NAME, target)
    hub.cut.clear()
    hub.repositories[NAME].commit = OTHER_COMMIT
    assert fetch_checkpoint(NAME, target).revision == OTHER_COMMIT
    assert hub.of("model.safetensors")[-1].range is None
    assert names(target) == KEPT


@pytest.mark.parametrize("content", ["a file of mine", None])
def test_a_folder_of_the_user_is_left_alone(bert, target, content, hub):
    if content is None:
        target.write_text("a file")
    else:
        target.mkdir()
        (target / "mine.txt").write_text(content)
    before = target.read_text() if content is None else names(target)
    assert str(target) in refused(fetch_checkpoint, NAME, target)
    assert (target.read_text() if content is None else names(target)) == before
    assert hub.requests == []  # refused before anything is asked


# ---- refusals


def fail(name, folder, **options):
    """The message, which comes at once; nothing is written."""
    said = catch_message_at_once(ERRORS, fetch_checkpoint, name, folder, **options)
    assert not folder.exists() or names(folder) <= {".rayner-output"}
    return said


def test_an_unknown_name_is_refused_at_once(hub, target, monkeypatch):
    assert "found none that you may read (401): check the name" in fail("someone/nothing", target)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "found none that you may read (404): check the name" in fail("someone/nothing", target)
    assert fail("no such folder!", target).startswith("no such folder!: expected a folder, or a name on the hub")


def test_an_unknown_revision_is_refused(bert, target):
    assert fail(NAME, target, revision="v9").startswith(f"{NAME}: expected a branch, tag or commit of it")


def test_a_gated_model_needs_a_token(hub, bert, target, monkeypatch):
    hub.repositories[NAME].is_gated = True
    said = fail(NAME, target)
    assert f"accept its terms at {hub.url}/{NAME}" in said
    assert "HF_TOKEN" in said
    monkeypatch.setenv("HF_TOKEN", TOKEN[:-1] + "b")
    assert "HF_TOKEN" in fail(NAME, target)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch_checkpoint(NAME, target)
    assert names(target) == KEPT
    assert not [name for name in names(target) if TOKEN in (target / name).read_text(errors="ignore")]


def test_without_a_network_it_says_so_at_once(no_hub, target):
    said = fail(NAME, target)
    assert said.startswith(f"{NAME}: {no_hub} cannot be reached: ")
    assert "machine with a network" in said


def test_offline_mode_is_named(hub, bert, target, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in fail(NAME, target)


def test_a_repository_without_weights_tokenizer_or_configuration_is_refused(hub, bert, source, target):
    (source / "tokenizer.json").rename(source / "t")
    (source / "vocab.txt").unlink(missing_ok=True)
    assert "expected a tokenizer" in fail(NAME, target)
    (source / "t").rename(source / "tokenizer.json")
    (source / "model.safetensors").rename(source / "tf_model.h5")
    assert fail(NAME, target).endswith("found only tf_model.h5, training_args.bin")
    (source / "config.json").unlink()
    (source / "adapter_config.json").write_text("{}")
    assert fail(NAME, target).endswith("found an adapter, not a whole model")


def test_a_model_that_brings_its_own_code_is_refused_before_its_weights_are_downloaded(hub, bert, source, target):
    config = json.loads((source / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "modeling_own.Own"}}
    (source / "config.json").write_text(json.dumps(config))
    assert "needs Python code of its own, which is not run" in refused(fetch_checkpoint, NAME, target)
    assert hub.of("model.safetensors") == []


@pytest.mark.parametrize("shards", [1, 2])
def test_a_pickle_that_calls_code_is_refused_and_not_kept(bert, source, target, tmp_path, shards):
    mark = tmp_path / "executed"
    pickle_weights(source, bert, shards)
    last = sorted(source.glob("pytorch_model*.bin"))[-1]
    torch.save({"a": Bomb(mark)}, last)
    torch.load(last, weights_only=False)
    assert mark.exists()  # the bomb is a real one
    mark.unlink()
    said = refused(fetch_checkpoint, NAME, target)
    assert said.startswith(f"{last.name}: expected tensors alone, found a pickle that calls getattr: it could run")
    assert not mark.exists()
    assert names(target) == {".rayner-output"}
    assert main(["fetch", NAME, str(target)]) == 2
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([torch.zeros(1)], "expected tensors by name, found list"),
        ({"model": {"a": torch.zeros(1)}}, "expected dense tensors by name, found dict under 'model'"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "found a sparse or quantised tensor under 'a'"),
        ({5: torch.zeros(1)}, "expected dense tensors by name"),
    ],
)
def test_a_pickle_of_something_else_is_refused(bert, source, target, content, expected):
    pickle_weights(source, bert)
    torch.save(content, source / "pytorch_model.bin")
    assert expected in refused(fetch_checkpoint, NAME, target)


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04 no archive", b"<html>", b"\0" * 100])
def test_a_file_that_is_no_pickle_is_refused(bert, source, target, content):
    pickle_weights(source, bert)
    (source / "pytorch_model.bin").write_bytes(content)
    assert refused(fetch_checkpoint, NAME, target).startswith("pytorch_model.bin: expected a file of tensors, found")


def test_an_index_that_names_files_elsewhere_or_missing_ones_is_refused(hub, bert, source, target):
    pickle_weights(source, bert, 2)
    path = source / "pytorch_model.bin.index.json"
    right = path.read_text()
    wrong = (("../x.bin", "in its folder"), ("own.py", "of .bin files"), ("none.bin", "found no none.bin"))
    for i, (name, expected) in enumerate(wrong):
        hub.repositories[NAME].commit = f"{i}" * 40
        path.write_text(right.replace("pytorch_model-00002-of-00002.bin", name))
        assert expected in refused(fetch_checkpoint, NAME, target)
    hub.repositories[NAME].commit = COMMIT
    path.write_text("[]")
    assert "expected an index of weights" in refused(fetch_checkpoint, NAME, target)


def test_a_full_disk_is_told_before_the_download_and_during_it(hub, bert, target, monkeypatch):
    usage = shutil.disk_usage(target.parent)._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage)
    said = refused(fetch_checkpoint, NAME, target)
    assert "MiB of free disk, found 0 MiB" in said
    assert hub.of("model.safetensors") == []
    monkeypatch.undo()


def test_a_url_is_no_folder_to_fetch_into(hub, capsys):
    assert main(["fetch", NAME, "s3://bucket/model"]) == 2
    assert "expected a local folder" in capsys.readouterr().err


def test_the_digests_of_git_are_those_of_git():
    """`git hash-object` of a file with the content `hello` and a line break."""
    assert hashlib.sha1(b"blob 6\0hello\n").hexdigest() == "ce013625030ba8dba906f756967f9e9ca394464a"
