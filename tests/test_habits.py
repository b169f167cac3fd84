"""Exceptions have reasons, and hooks call what is pinned here."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FOLDERS = ("rayner", "gpu_check", "jobs", "tests", "studies", "peers", "release", "docs", "sample")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma)\b(.*)")
REASONED = re.compile(r"(?:: [A-Z]+\d+ - |\[[\w-]+\]  ?# )\S.*")


def exceptions(path):
    """The exceptions of a file, by line; those within strings of the tests are none."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if (found := EXCEPTION.search(line)) and path != Path(__file__):
            yield number, found[1]


def test_every_exception_to_lint_and_types_has_its_rule_and_its_reason():
    found = [(path, number, told) for path in SOURCES for number, told in exceptions(path)]
    assert [f"{path}:{number}" for path, number, told in found if not REASONED.fullmatch(told)] == []


@pytest.mark.parametrize(("told", "right"), [
    (": ANN401 - any JSON", True), ("[misc] # untyped", True), ("[misc]  # untyped", True),
    ("", False), (": ANN401", False), ("[misc]", False), (": ANN401 any JSON", False), ("[misc]  # ", False),
])  # fmt: skip
def test_what_a_reason_looks_like(told, right):
    assert bool(REASONED.fullmatch(told)) is right


def test_every_rule_that_is_off_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lint = text.split("[tool.ruff.lint]\n")[1].split("[tool.mypy]")[0]
    off = [line for line in lint.splitlines() if re.match(r' *"', line)]
    assert len(off) == 4 + len(tomllib.loads(text)["tool"]["ruff"]["lint"]["per-file-ignores"])
    assert [line for line in off if not re.search(r"# \S", line)] == []


def test_hooks_call_the_tools_of_the_environment_and_download_nothing():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
    checks = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ncheck:")[1].split("\n\n")[0]
    tools = set(re.findall(r"\$\(BIN\)/(ruff format|ruff check|mypy|python -m pytest --quiet \S+)", checks))
    assert {tool for tool in tools if any(f".venv/bin/{tool}" in h["entry"] for h in repository["hooks"])} == tools
