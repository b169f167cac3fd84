"""What the doctor does on a node, and all of it on a real cluster of two nodes."""

import os
import socket
import subprocess
import sys

import pytest
import torch
import yaml

from rayner.cli import main
from rayner.config.settings import config_to_dict
from rayner.doctor import probes
from rayner.doctor.node_facts import TokenStatus
from rayner.doctor.probes import ProbeFiles
from rayner.llm.description import LlmDescription, write_llm_description
from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.taggers import encoder as slms
from rayner.text.tags import bmes_labels
from tests.cluster.small import SHAPE, labelled_sentences, write_inputs


def test_what_is_written_is_read_and_removed(tmp_path):
    probe = ProbeFiles(str(tmp_path), {"a": ("x", b"1"), "b": ("y", b"2")})
    assert probes.try_write_probe_file(probe, "a") == ""
    assert probes.compare_probe_files(probe, b"") == {"a": "", "b": "No such file or directory"}
    (tmp_path / "y").write_bytes(b"3")
    assert probes.compare_probe_files(probe, b"")["b"] == "other bytes"
    probes.remove_probe_file(probe, "a")
    probes.remove_probe_file(probe, "a")
    assert [path.name for path in tmp_path.iterdir()] == ["y"]
    assert probes.try_write_probe_file(ProbeFiles(str(tmp_path / "y"), probe.files), "a") == "Not a directory"


def test_the_token_is_found_as_ray_finds_it_and_never_told(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not probes._token_status().present
    own = tmp_path / ".ray" / "auth_token"
    own.parent.mkdir()
    own.write_text("secret")
    own.chmod(0o640)
    assert probes._token_status() == TokenStatus("token", str(own), True, 0o640)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    assert not probes._token_status().present
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert probes._token_status() == TokenStatus("token", "RAY_AUTH_TOKEN", True)


# ---- the command


@pytest.fixture
def nobody(monkeypatch):
    """An address at which nothing listens."""
    monkeypatch.setenv("RAY_ADDRESS", "")  # the command sets it: put it back afterwards
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_cluster_that_is_not_there_is_one_line_and_ends_with_2(nobody, capsys):
    assert main(["doctor", "--address", nobody]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"FAIL cluster: expected Ray at {nobody}, found Connection refused; ")
    assert out.count("\n") == 1
    assert err == "error: expected every check to be ok, found 1 of 1 that failed; see above\n"


def test_settings_may_stand_on_both_sides_of_options(nobody, capsys):
    assert main(["doctor", "seed=7", "--address", nobody, "slm.epoch=3"]) == 2
    assert "did you mean slm.epochs?" in capsys.readouterr().err
    assert main(["doctor", "seed=many", "--address", nobody, "slm.epochs=3"]) == 2
    assert "seed: expected int" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "unknown"), [(["doctor", "--adress", "x"], "--adress"), (["eval", "a", "b", "c=d"], "c=d")]
)
def test_arguments_that_nobody_knows_end_with_2(arguments, unknown, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert f"unrecognized arguments: {unknown}" in capsys.readouterr().err


# ---- on a cluster

_TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
from rayner.cli import main
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
try:
    for settings in sys.argv[1:]:
        code = main(["doctor", "--address", cluster.address, *settings.split()])
        print("exit code", code, flush=True)
finally:
    cluster.shutdown()
"""


def on_two_nodes(tmp_path, *calls):
    """The lines and the exit code of each call, on a cluster of a process of its own."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o600)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    env = {**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    done = subprocess.run(
        [sys.executable, "-c", _TWO_NODES, *calls], env=env, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    assert token.read_text() not in done.stdout + done.stderr
    out, lines = [], []
    for line in done.stdout.splitlines():
        if line.startswith("exit code "):
            out.append((lines, int(line.removeprefix("exit code "))))
            lines = []
        elif line.startswith(("ok ", "FAIL ")):
            lines.append(line)
    return out


def write_models(run, texts, types):
    """What a run has that has trained its models, untrained."""
    for name in ("slm", "llm"):
        run.path("models", name, "base").mkdir(parents=True)
    write_scratch_encoder(run.path("models", "slm", "base"), texts, SHAPE, 13)
    slms.save_encoder_tagger(
        slms.load_encoder_tagger(run.path("models", "slm", "base"), torch.device("cpu"), bmes_labels(types)),
        run.path("models", "slm"),
    )
    write_scratch_decoder(run.path("models", "llm", "base"), texts, types, SHAPE, 13)
    write_llm_description(run.path("models", "llm"), LlmDescription("base", None, "", tuple(types)))
    for step in ("train_slm", "train_llm"):
        write_json(run.path("steps", f"{step}.json"), StepManifest({}, {}).to_json())


@pytest.mark.slow
@pytest.mark.drill
def test_on_two_nodes_all_is_well_or_what_is_wrong_is_told(tmp_path):
    config = write_inputs(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config_to_dict(config), allow_unicode=True), encoding="utf-8")
    run = Run(tmp_path / "run")
    write_models(run, [example.text for example in labelled_sentences()], ["NR", "NS"])
    before = sorted(run.root.rglob("*"))
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    given = f"--config {tmp_path / 'c.yaml'}"
    well, ill = on_two_nodes(
        tmp_path,
        given,
        f"run={tmp_path / 'file' / 'run'} {given} slm.model={tmp_path / 'empty'} corpus={tmp_path / 'none'} "
        "score.actors=9",
    )

    lines, code = well
    assert code == 0
    assert all(line.startswith("ok ") for line in lines), lines
    assert [line.split(":")[0].split()[1] for line in lines] == [
        "nodes", "versions", "faiss", "resources", "room", "memory", "GPUs", "disk", "input", "input", "models", "run",
        "trained", "compiler", "token", "dashboard", "ports",
    ]  # fmt: skip
    assert any("the small model, the LLM loaded" in line for line in lines)
    assert sorted(run.root.rglob("*")) == before

    lines, code = ill
    assert code == 2
    wrong = {line.split(":")[0].removeprefix("FAIL "): line for line in lines if line.startswith("FAIL")}
    assert set(wrong) == {
        "resources", "score", f"input {tmp_path / 'none'}", "model slm.model",
        f"run {tmp_path / 'file' / 'run'}", "trained",
    }  # fmt: skip
    assert "Not a directory on " in wrong[f"run {tmp_path / 'file' / 'run'}"]
    assert str(tmp_path / "empty") in wrong["model slm.model"]
    assert "score: expected at most the 2 CPUs of the cluster, found settings for 9" in wrong["resources"]
