"""Tests run every command of the pages, or list it with the reason why they do not."""

import argparse
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from rayner.cli import build_parser, main, parse_arguments
from rayner.cli.jobs.arguments import build_script_parser
from rayner.cli.jobs.commands import JOB_COMMANDS
from rayner.cli.jobs.definitions import RUN
from rayner.cli.jobs.running import load_job_config
from rayner.config.loading import load_config
from rayner.runs.progress import log
from tests.docs.pages import HISTORY, NAMES, ROOT, commands, inline_code

# Commands that are not run here, by their first words, with the reason. For jobs, tests check the settings and run
# `--dry-run`. All other commands are run.
NOT_RUN = {
    ("make",): "installs, downloads or takes minutes; its targets and variables are checked here by `make --dry-run`",
    ("python3", "-m", "venv", ".venv-vllm"): "makes the environment of vLLM, as `make vllm` does",
    (".venv-vllm/bin/pip", "install"): "installs gigabytes, as `make vllm` does",
    ("ray", "up"): "needs servers; its configuration: tests/cluster/test_recipes.py",
    ("ray", "dashboard"): "needs the cluster of `ray up`",
    ("ray", "start"): "options: tests/cluster/test_recipes.py; run: tests/cluster/test_submission.py",
    ("ray", "get-auth-token"): "writes a token into the home folder; run: tests/cluster/test_submission.py",
    ("ray", "job"): "run: tests/cluster/test_submission.py; the job it submits is checked here",
    ("chmod", "600"): "changes the token in the home folder",
    ("export", "RAY_AUTH_MODE=token"): "run: tests/cluster/test_submission.py",
    ("ssh",): "needs a server",
    ("-m", "tests.simulation"): "takes minutes; run: tests/simulation; its arguments are checked here",
    ("-m", "gpu_check"): "takes minutes; run: tests/test_gpu_check.py",
    ("rayner", "doctor"): "starts Ray; run: tests/cluster/test_doctor.py; its arguments are checked here",
    ("rayner", "pretrain"): "trains; run: tests/cluster/test_pretraining.py; its dry run is checked here",
    ("rayner", "review", "apply"): "needs a finished corpus; run: tests/cluster/test_corrections.py",
    ("rayner", "review", "undo"): "as the one above; the arguments of both are checked here",
    ("rayner", "fetch"): "needs the hub; run: tests/fetching, with a local hub; its arguments are checked here",
}
# Jobs whose --dry-run cannot pass here: tests check their settings only.
NO_DRY_RUN = {
    "pretrained": "needs the checkpoint of `make gemma`",
    "paper-small": "needs the checkpoint of `make qwen`",
}
# Files that a reviewer exports from Label Studio, and the folders that the reviewer was given.
CORRECTED = {"export.json": "review-1", "marked.json": "to-mark", "marked-2.json": "to-mark-2"}


def confirm_predictions(tasks_file, export_file):
    """Do the reviewer's part: confirm all predictions of Label Studio's tasks."""
    tasks = json.loads(Path(tasks_file).read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    Path(export_file).write_text(json.dumps(tasks), encoding="utf-8")


def strip_environment(words):
    """Return a command without `.venv/bin/` and `python`."""
    words = [word.removeprefix(".venv/bin/") for word in words]
    return words[1:] if words[0] == "python" else words


def is_job(words):
    """Whether a command is a job: a script, or a command with a configuration."""
    return words[0].startswith("jobs/") or (words[0] == "rayner" and words[1] in JOB_COMMANDS)


ALL_COMMANDS = [(name, strip_environment(words)) for name in NAMES if name not in HISTORY for words in commands(name)]
JOBS = [(name, words) for name, words in ALL_COMMANDS if is_job(words)]


def submitted_job(words):
    """Return the job in a command `ray job submit`."""
    return strip_environment(words[words.index("--") + 1 :])


def test_every_command_is_run_or_listed_as_one_that_is_not():
    known = ("rayner", "jobs/", "studies/")
    others = [
        words
        for _, words in ALL_COMMANDS
        if not words[0].startswith(known) and not any(tuple(words[: len(few)]) == few for few in NOT_RUN)
    ]
    assert others == []
    listed = {few for few in NOT_RUN if any(tuple(words[: len(few)]) == few for _, words in ALL_COMMANDS)}
    assert listed == set(NOT_RUN)  # no entry of NOT_RUN is out of date
    assert set(NO_DRY_RUN) <= {word for _, words in JOBS for word in words}


@pytest.mark.parametrize(
    "page", [name for name in NAMES if any(w[0] == "rayner" for n, w in ALL_COMMANDS if n == name)]
)
def test_the_rayner_commands_of_a_page_run_one_after_the_other(desk, trained_run, page, monkeypatch, capsys):
    keep_log(monkeypatch)
    for words in [w for name, w in ALL_COMMANDS if name == page and w[0] == "rayner" and not is_job(w)]:
        options = parse_arguments(words[1:], build_parser(words[1:]))  # raises SystemExit for an unknown argument
        if words[1] == "doctor":
            load_config(options.config, options.overrides)
        elif words[1] == "fetch":
            assert options.name
        elif words[1] == "pretrain":
            assert main([*words[1:], "--dry-run"]) == 0, (words, capsys.readouterr().err)
        elif words[1] == "tag":
            shutil.copytree(trained_run, words[2], dirs_exist_ok=True)
            as_job = ["--dry-run"] if "--out" in words else []
            assert main([*words[1:], *as_job]) == 0, (words, capsys.readouterr().err)
        elif words[1:3] in (["review", "apply"], ["review", "undo"]):
            if options.out:  # as it would be, for the commands behind it
                shutil.copytree(options.tagged, options.out)
                (Path(options.out) / "corrections.jsonl").touch()
        elif "--serve" in words:
            assert serves_site(words[1:], capsys)
        else:
            for export_file in CORRECTED.keys() & set(words):
                confirm_predictions(f"{CORRECTED[export_file]}/tasks.json", export_file)
            assert main(words[1:]) == 0, (words, capsys.readouterr().err)


def serves_site(arguments, capsys):
    """Whether the command serves a site. Its thread ends with the tests."""
    port = arguments.index("--port") + 1 if "--port" in arguments else 0
    arguments = [*arguments[:port], "0", *arguments[port + 1 :]] if port else [*arguments, "--port", "0"]
    threading.Thread(target=main, args=[arguments], daemon=True).start()
    output = ""
    for _ in range(200):
        output += capsys.readouterr().out
        if url := re.search(r"http://127\.0\.0\.1:\d+/", output):
            return "html" in urllib.request.urlopen(url[0], timeout=10).read().decode()
        threading.Event().wait(0.05)
    return False


@pytest.mark.parametrize(
    ("page", "words"), JOBS + [(n, submitted_job(w)) for n, w in ALL_COMMANDS if w[:3] == ["ray", "job", "submit"]]
)
def test_the_settings_of_every_job_are_valid(desk, page, words):
    assert words[0] == "rayner" or (ROOT / words[0]).is_file()
    assert read_job_config(words).run


def read_job_config(words):
    if words[0] == "rayner":
        return load_job_config(parse_arguments(words[1:], build_parser(words[1:])))
    return load_job_config(build_script_parser(RUN).parse_intermixed_args(words[1:]))


def keep_log(monkeypatch):
    """Restore the log after the test. A job changes it for its process."""
    for attribute in ("handlers", "level", "propagate"):
        monkeypatch.setattr(log, attribute, getattr(log, attribute))


def read_files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(("page", "words"), [(n, w) for n, w in JOBS if not NO_DRY_RUN.keys() & set(w)])
def test_every_job_that_can_run_here_passes_its_dry_run(desk, page, words, monkeypatch, capsys):
    if "reviewed.txt" in " ".join(words):
        shutil.copy("labelled.txt", "reviewed.txt")
    run = desk / read_job_config(words).run
    before = read_files(run)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sys, "argv", [*words, *(["--dry-run"] if "--dry-run" not in words else [])])
    keep_log(monkeypatch)
    if words[0] == "rayner":
        code = main()
    else:
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(words[0], run_name="__main__")
        code = caught.value.code
    assert code == 0, capsys.readouterr().err
    assert read_files(run) == before


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for _, w in ALL_COMMANDS if w[0].startswith("studies/")])
def test_every_study_runs_at_small_size(desk, words):
    small = ["--start", "60", "--add", "20", "--starts", "1", "--draws", "1", "--iterations", "5"]
    subprocess.run([sys.executable, *words, *small], check=True, capture_output=True, timeout=100)
    assert (Path(words[2]) / "review_curve.json").is_file()


def inline_commands(tool):
    """Commands between backticks in running text."""
    found = [(name, code.split()) for name in NAMES if name not in HISTORY for code in inline_code(name)]
    return [(name, words[1:]) for name, words in found if words[0] == tool and len(words) > 1]


def test_the_arguments_of_the_simulation_are_valid():
    from tests.simulation.__main__ import build_parser

    given = [
        build_parser().parse_args(words[2:]) for _, words in ALL_COMMANDS if words[:2] == ["-m", "tests.simulation"]
    ]
    assert {args.seed for args in given} == {None, 17}


def test_every_make_target_is_there_with_its_variables(tmp_path):
    wanted = [words[1:] for _, words in ALL_COMMANDS if words[0] == "make"] + [
        words for _, words in inline_commands("make")
    ]
    assert len(wanted) > 20
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in {tuple(words) for words in wanted}:
        assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), words
        assert all(f"$({word.partition('=')[0]})" in makefile for word in words[1:]), words
        subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)


def test_every_rayner_command_in_running_text_has_the_options_that_are_named():
    found = inline_commands("rayner")
    assert len(found) > 10
    actions = build_parser()._subparsers._group_actions[0].choices
    for name, words in found:
        if words[0].startswith("-"):
            continue
        parser = actions[words[0]]
        inner = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        every = [parser, *(inner[0].values() if inner else [])]
        for option in [word for word in words[1:] if word.startswith("--")]:
            assert any(option in p._option_string_actions for p in every), (name, words)
