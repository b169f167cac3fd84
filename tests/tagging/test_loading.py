"""Only a trained run is loaded; what else is named is told, with what is missing and the command that makes it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import rayner
from rayner.config.loading import load_config
from rayner.config.settings import Config, CorpusConfig
from rayner.config.writing import format_as_yaml
from rayner.errors import ConfigError
from rayner.runs.run_folder import SETTINGS_FILE
from tests.tagging.small_run import ROOT


@pytest.fixture
def copy(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "copy"))


def message_of(folder):
    with pytest.raises(ConfigError) as caught:
        rayner.load(folder)
    return str(caught.value)


def test_what_is_no_run_is_told(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "file.txt").write_text("懷王", encoding="utf-8")
    (tmp_path / "tagged").mkdir()
    (tmp_path / "tagged" / "run.json").write_text("{}", encoding="utf-8")
    how = "`rayner run laptop run={} train=FILE` makes a run from labelled files"
    expected = "expected the folder of a trained run, found"
    for name, found in (
        ("rums", "nothing of that name; did you mean {parent}/runs?; " + how),
        ("runs", "no finished step in steps/: " + how),
        ("file.txt", "a file; " + how),
        ("tagged", "a tagged corpus: name the run that tagged it"),
    ):
        folder = tmp_path / name
        filled = found.replace("{parent}", str(tmp_path)).replace("{}", str(folder))
        assert message_of(folder) == f"{folder}: {expected} {filled}"


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("data", "no finished step in steps/: `rayner run"),
        ("train_slm", "a run without the small model (step train_slm): give the command that began the run once more"),
        ("tune_fusion", "a run without the fusion rule (step tune_fusion): give the command that began the run once"),
    ],
)
def test_a_run_that_is_not_finished_is_told_with_the_way_on(copy, step, found):
    (copy / "steps" / f"{step}.json").unlink()
    assert message_of(copy).startswith(f"{copy}: expected the folder of a trained run, found {found}")


def test_the_tagged_corpus_of_a_run_names_the_run(copy):
    (copy / "tagged").mkdir()
    (copy / "tagged" / "run.json").write_text("{}", encoding="utf-8")
    assert message_of(copy / "tagged").endswith(f"found a tagged corpus: name the run itself ({copy})")


def test_a_run_of_an_earlier_version_is_told_how_to_get_its_settings(copy):
    (copy / SETTINGS_FILE).unlink()
    assert message_of(copy).startswith(f"{copy / SETTINGS_FILE}: expected the settings of the run, found none, because")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("seed: 13", "seeed: 13"), r"unknown key seeed; did you mean seed\?"),
        (lambda text: text[: len(text) // 2] + "\n  - [", "expected a YAML file, found"),
    ],
)
def test_damaged_settings_name_the_file(copy, change, message):
    path = copy / SETTINGS_FILE
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    assert re.match(rf"{re.escape(str(path))}(:\d+)?: {message}", message_of(copy))


def test_a_device_that_is_not_there_or_no_device_is_refused(run):
    with pytest.raises(ConfigError, match=r"^device: expected None or one of auto, cpu, cuda, found 'gpu'$"):
        rayner.load(run, device="gpu")


@pytest.mark.parametrize("name", [None, *sorted(path.name for path in (ROOT / "jobs" / "conf").glob("*.yaml"))])
def test_settings_are_read_back_as_they_were(name, tmp_path):
    config = load_config(
        name and ROOT / "jobs" / "conf" / name, ["run=007", r'llm.instruction="a: #b\n\u2028\x7f 1e5 "']
    )
    (tmp_path / SETTINGS_FILE).write_text(format_as_yaml(config), "utf-8", newline="")
    assert load_config(tmp_path / SETTINGS_FILE) == config


def test_texts_that_look_like_other_values_are_read_back_as_texts(tmp_path):
    texts = [
        "1.10",
        "007",
        "yes",
        "null",
        "~",
        "2025-01-01",
        "1e-3",
        "",
        "0x1",
        "a: b",
        "- a",
        ".inf",
        "<<",
        "&a",
        "!b",
    ]
    config = replace(Config(), train=texts, corpus=CorpusConfig("on"), datasets={"1": "2", "A": "null"})
    (tmp_path / SETTINGS_FILE).write_text(format_as_yaml(config), "utf-8", newline="")
    assert load_config(tmp_path / SETTINGS_FILE) == config
