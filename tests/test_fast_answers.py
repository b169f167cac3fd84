"""Help and errors in arguments come before anything heavy is imported."""

import json
import re
import subprocess
import sys

import pytest

from rayner.cli import main
from rayner.cli.jobs.definitions import RUN, TAG_CORPUS
from rayner.cli.jobs.inputs import require_inputs
from rayner.config.bundled import BUNDLED_NAMES
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.errors import ConfigError
from tests.test_layers import HEAVY, ROOT

# The first three take seconds to import. The others take tenths of a second.
SLOW_IMPORTS = {*HEAVY, "numpy", "fsspec", "upath", "jinja2"}
CALL = """import json, sys
from rayner.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def call(folder, *arguments):
    """The exit code, the line of the error, and what was imported."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments], capture_output=True, text=True, cwd=folder, timeout=60, check=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )  # fmt: skip
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, done.stderr, SLOW_IMPORTS & set(modules)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--help", 0, ""),
        ("run --help", 0, ""),
        ("run laptop nonsense=1", 2, "command line: unknown key nonsense; expected one of run, train, "),
        ("run laptop slm.epoch=1", 2, "command line: unknown key slm.epoch; did you mean slm.epochs?"),
        ("trial", 2, "usage: rayner"),
    ],
)  # fmt: skip
def test_help_and_wrong_arguments_import_nothing_heavy(tmp_path, arguments, code, said):
    found, error, imported = call(tmp_path, *arguments.split())
    assert found == code
    assert error.removeprefix("error: ").startswith(said)
    assert imported == set()


def message_of(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value)


def test_every_bundled_configuration_is_loaded_by_its_name():
    assert set(BUNDLED_NAMES) == {path.stem for path in (ROOT / "jobs" / "conf").glob("*.yaml")}
    for name in set(BUNDLED_NAMES) - {"demo", "bench"}:
        assert load_config(name) == load_config(ROOT / "jobs" / "conf" / f"{name}.yaml")


def test_the_bundled_demo_finds_its_sample_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config("demo", ["seed=1"])
    require_inputs(config, RUN.inputs)
    assert config.train != load_config(ROOT / "jobs" / "conf" / "demo.yaml").train
    assert load_config("demo", ["train=sample/mine.txt"]).train == ["sample/mine.txt"]


def test_a_configuration_that_is_neither_bundled_nor_a_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message_of(load_config, "laptp").startswith("CONFIG: expected a YAML file or one of demo, laptop, ")
    assert message_of(load_config, "laptp").endswith("found 'laptp'; did you mean laptop?")
    assert message_of(load_config, "lapto.yaml") == "lapto.yaml: expected a YAML file, found: No such file or directory"
    (tmp_path / "mine").write_text("seed: 3")
    (tmp_path / "demo").write_text("seed: 4")
    assert load_config("mine").seed == 3
    assert load_config("./demo").seed == 4
    assert load_config("demo") != load_config("./demo")


def test_a_wrong_setting_is_blamed_on_its_line_or_on_the_command_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("seed: 3\nslm:\n  # a comment\n  epochs: 0\n")
    assert message_of(load_config, path) == f"{path}:4: slm.epochs: expected more than 0, found 0"
    assert (
        message_of(load_config, path, ["slm.epochs=-1"]) == "command line: slm.epochs: expected more than 0, found -1"
    )
    assert message_of(load_config, path, ["slm.epochs=1", "seed=x"]) == "command line: seed: expected int, found 'x'"
    assert load_config(path, ["slm={epochs: 2}"]).slm.epochs == 2
    assert message_of(load_config, path, ["slm={epochs: 0}"]).startswith("command line: slm.epochs: ")
    path.write_text("slm:\n  family: crf\n  epoch: 2\n")
    assert message_of(load_config, path) == f"{path}:3: unknown key slm.epoch; did you mean slm.epochs?"


def test_a_key_of_another_section_is_suggested():
    assert message_of(load_config, None, ["epochs=3"]).endswith("did you mean slm.epochs or llm.epochs?")
    assert message_of(load_config, None, ["fusion.exact=true"]).endswith("did you mean gate.exact?")
    assert message_of(load_config, None, ["split.qqq=3"]).endswith("expected one of by, dev, test, folds in split")


def test_inputs_that_do_not_exist_are_named_with_their_setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    config = Config(
        train=["s3://bucket/a.txt", "b.txt"], corpus=CorpusConfig(str(tmp_path / "corpse")), datasets={"A": "a.txt"}
    )
    require_inputs(config, ())
    assert message_of(require_inputs, config, ("train",)) == (
        f"train: b.txt: expected a file or folder, found nothing of that name in {tmp_path}"
    )
    assert message_of(require_inputs, config, TAG_CORPUS.inputs).endswith(f"did you mean {tmp_path / 'corpus'}?")
    assert message_of(require_inputs, config, ("datasets",)).startswith("datasets.A: a.txt: expected a file")
    clustered = load_config("laptop", ["corpus=none"])
    assert message_of(require_inputs, clustered, ("slm.crf.unlabelled",)).startswith("corpus: ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "train: expected labelled files, found none"),
        (
            ["train=labelled.txt", "corpus=txts"],
            "corpus: txts: expected a file or folder, found nothing of that name; did you mean texts?",
        ),
    ],
)
def test_wrong_paths_are_told_before_a_model_or_ray_is_imported(tmp_path, settings, said):
    (tmp_path / "labelled.txt").touch()
    (tmp_path / "texts").mkdir()
    code, error, imported = call(tmp_path, "run", "laptop", "run=r", *settings)
    assert (code, error) == (2, f"error: {said}\n")
    assert imported <= {"fsspec", "upath", "numpy"}


def test_two_configurations_are_refused(capsys):
    assert main(["run", "laptop", "--config", "demo"]) == 2
    assert capsys.readouterr().err == "error: CONFIG: expected one configuration, found two: laptop and demo\n"
    assert main(["run", "laptop", "demo"]) == 2
    assert capsys.readouterr().err == "error: command line: expected key=value, found 'demo'\n"
    assert main(["run", "run=a"]) == 2
    assert re.search("found none, as in: rayner run laptop run=a\n$", capsys.readouterr().err)
