"""The Python code of the pages runs, and their settings files can be read."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml

from rayner.cli import main
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.corpus.exports import read_type_names
from tests.docs.pages import NAMES, ROOT, blocks

# Files that other tests read.
READ_ELSEWHERE = {"docs/cluster.md": "tests/cluster/test_recipes.py"}
# Code that other tests run.
RUN_ELSEWHERE = {
    "docs/cluster.md": "tests/cluster/test_submission.py",
}

PYTHON = [(name, block.text) for name in NAMES for block in blocks(name) if block.language == "python"]
YAML = [(name, block.text) for name in NAMES for block in blocks(name) if block.language == "yaml"]


@pytest.mark.parametrize(("page", "code"), [(n, c) for n, c in PYTHON if n not in RUN_ELSEWHERE])
def test_python_of_a_page_runs(desk, trained_run, page, code, capsys):
    if "rayner.load(" in code:
        shutil.copytree(trained_run, "runs/mine", dirs_exist_ok=True)
    exec(compile(code, page, "exec"), {})
    output = capsys.readouterr().out
    if "print" in code:
        assert output.strip()


def test_yaml_that_is_not_read_here_is_read_there():
    assert [(n, yaml.safe_load(t)["kind"]) for n, t in YAML if n in READ_ELSEWHERE] == [("docs/cluster.md", "RayJob")]
    assert "RayJob" in (ROOT / READ_ELSEWHERE["docs/cluster.md"]).read_text(encoding="utf-8")


def test_python_that_is_not_run_here_is_run_there():
    assert {name for name, _ in PYTHON if name in RUN_ELSEWHERE} == set(RUN_ELSEWHERE)
    for name, test in RUN_ELSEWHERE.items():
        assert Path(name).name in (ROOT / test).read_text(encoding="utf-8")
        assert "```python" in (ROOT / test).read_text(encoding="utf-8")


def test_the_labelled_file_that_a_page_writes_is_read_back(desk):
    [code] = [code for name, code in PYTHON if name == "docs/labels.md"]
    exec(compile(code, "labels", "exec"), {})
    assert main(["eval", "labelled.txt", "labelled.txt"]) == 0
    assert Path("labelled.txt").read_text(encoding="utf-8").startswith("懷\tB-PER\n王\tE-PER\n入\tO\n秦\tS-LOC\n")


@pytest.mark.parametrize(("page", "text"), [(n, t) for n, t in YAML if n not in READ_ELSEWHERE])
def test_yaml_of_a_page_is_read_as_what_it_is(tmp_path, page, text):
    tree = yaml.safe_load(text)
    path = tmp_path / "page.yaml"
    path.write_text(text, encoding="utf-8")
    if set(tree) <= {field.name for field in dataclasses.fields(Config)}:
        load_config(path)
    else:
        assert read_type_names(str(path))
