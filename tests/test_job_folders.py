"""A job writes only into folders of its own, apart from all that it reads; else it ends with 2 before it writes."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.running import run_job
from rayner.config.loading import load_config
from rayner.errors import ConfigError
from rayner.runs.folder_nesting import is_same_or_inside
from rayner.runs.output_folder import MARKER_FILE, mark_output_folder_as_ours
from rayner.runs.run_folder import Run
from rayner.runs.storage import storage_path
from rayner.steps.output_folders import check_job_folders, mark_tagged_folder_as_ours
from tests.folders import put, snapshot

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a corpus, a labelled file, links to both, and an empty folder; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("rayner.cluster.session.ray_session", nullcontext)  # no step here needs Ray
    put(tmp_path / "texts" / "book" / "a.txt")
    put(tmp_path / "labelled" / "train.txt")
    (tmp_path / "link").symlink_to("texts")
    (tmp_path / "texts" / "book" / "up").symlink_to(tmp_path / "texts")
    (tmp_path / "empty").mkdir()
    return tmp_path


def run(*arguments, dry_run=False):
    """The exit code of a job that tags, and whether its step was called."""
    called = []
    job = Job(
        "job", "", lambda config, run: called.append(run), lambda config, run: [], output_setting="out",
        retry=lambda config, run: None,
    )  # fmt: skip
    code = run_job(job, [*arguments, *(["--dry-run"] if dry_run else [])])
    return code, bool(called)


OVERLAPS = {
    "out is the corpus": (("out=texts", "corpus=texts"), "out", "the same as corpus"),
    "out in the corpus": (("out=texts/tagged", "corpus=texts"), "out", "inside corpus"),
    "out deep in the corpus": (("out=texts/book/x/y/z", "corpus=texts"), "out", "inside corpus"),
    "out in the corpus by ..": (("out=empty/../texts/tagged", "corpus=texts"), "out", "inside corpus"),
    "out in the corpus by a link": (("out=link/tagged", "corpus=texts"), "out", "inside corpus"),
    "out in the corpus, which is a link": (("out=texts/tagged", "corpus=link"), "out", "inside corpus"),
    "out in the corpus by a link in the corpus": (("out=texts/book/up/x", "corpus=texts"), "out", "inside corpus"),
    "out in the corpus by a URL": (("out=texts/tagged", "corpus=file://{work}/texts"), "out", "inside corpus"),
    "out is the one text": (("out=texts/book/a.txt", "corpus=texts/book/a.txt"), "out", "the same as corpus"),
    "corpus in out": (("out=texts", "corpus=texts/book"), "out", "around corpus"),
    "the one text in out": (("out=texts", "corpus=texts/book/a.txt"), "out", "around corpus"),
    "training file in out": (("out=labelled", "corpus=texts", "train=labelled/train.txt"), "out", "around train"),
    "training file in the default out": (("corpus=texts", "train=r/tagged/x.txt"), "out", "around train"),
    "second training file in out": (("out=labelled", "train=x.txt,labelled/train.txt"), "out", "around train"),
    "unlabelled text in out": (("out=texts", "slm.crf.unlabelled=texts/book"), "out", "around slm.crf.unlabelled"),
    "unlabelled text in out by a link": (("out=texts", "slm.crf.unlabelled=link"), "out", "the same as slm.crf"),
    "a dataset in out": (("out=labelled", "datasets.A=labelled/train.txt"), "out", "around datasets.A"),
    "run is the corpus": (("run=texts", "corpus=texts"), "run", "the same as corpus"),
    "run in the corpus": (("run=link/book/../run", "corpus=texts"), "run", "inside corpus"),
    "run is the training file": (("run=labelled/train.txt", "train=labelled/train.txt"), "run", "the same as train"),
    "out is run": (("out=r/../r",), "out", "the same as run"),
    "run in out": (("run=empty/r", "out=empty"), "out", "around run"),
    "out in the models of run": (("out=r/models/x",), "out", "in the folder models of run"),
    "out is the data of run": (("out=r/data",), "out", "in the folder data of run"),
    "the same at a URL": (("out=memory://texts/", "corpus=memory://texts"), "out", "the same as corpus"),
    "out in the corpus at a URL": (("out=memory://texts/a/b", "corpus=memory://texts"), "out", "inside corpus"),
    "by .. at a URL": (("out=memory://x/../texts/a", "corpus=memory://texts"), "out", "inside corpus"),
    "corpus in out at a URL": (("out=memory://texts", "corpus=memory://texts//a"), "out", "around corpus"),
    "names of one store": (("out=s3a://b/texts/x", "corpus=s3://b/texts"), "out", "inside corpus"),
}


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "start"])
@pytest.mark.parametrize(("settings", "key", "relation"), OVERLAPS.values(), ids=OVERLAPS)
def test_an_output_that_overlaps_with_an_input_is_refused_before_anything_is_written(
    work, capsys, settings, key, relation, dry_run
):
    settings = [setting.format(work=work) for setting in settings]
    before = snapshot(work)
    assert run("run=r", *settings, dry_run=dry_run) == (2, False)
    assert snapshot(work) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {key}: expected a folder apart from all that the job reads")
    assert f"which is {relation}" in line


@pytest.mark.parametrize(
    "settings",
    [
        ("out=texts-tagged", "corpus=texts"), ("out=tex", "corpus=texts"), ("out=empty", "corpus=texts"),
        ("corpus=texts", "train=labelled/train.txt"), ("out=labelled/out", "train=labelled/train.txt"),
        ("out=memory://free-{name}/texts2", "corpus=memory://free-{name}/texts"), ("out=r/mine", "corpus=texts"),
        ("out=s3://b/texts/x", "corpus=gs://b/texts"), ("out=texts2", "corpus=memory://texts2"), ("out=dataset",),
    ],
)  # fmt: skip
def test_folders_that_lie_beside_each_other_are_taken(work, settings):
    config = load_config(None, ["run=r", *(setting.format(name=work.name) for setting in settings)])
    check_job_folders(config, Run(storage_path("r")), tags_corpus="s3:" not in str(settings))


@pytest.mark.parametrize("key", ["run", "out"])
@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "start"])
@pytest.mark.parametrize(
    "name",
    [
        "thesis.docx", "data/train.jsonl", "models/slm/model.safetensors", "steps/notes.json", "steps/data.json",
        "documents/unit-000000.parquet", "lock.json", "status.json",
    ],
)  # fmt: skip
def test_a_folder_with_files_of_the_users_is_refused(work, capsys, key, dry_run, name):
    put(work / "mine" / name, b'{"mine": 1}')
    before = snapshot(work)
    folders = {"run": "r", "out": "o"} | {key: "mine"}
    assert run("corpus=texts", *(f"{k}={v}" for k, v in folders.items()), dry_run=dry_run) == (2, False)
    assert snapshot(work) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {key}: {work}/mine: expected a new folder, an empty one, or one that rayner wrote")
    assert f"such as {name.partition('/')[0]!r}: name another folder" in line


def test_our_own_folders_are_resumed(work):
    for _ in range(2):
        assert run("run=r", "corpus=texts", "out=empty") == (0, True)
    assert (work / "r" / MARKER_FILE).is_file()
    assert not (work / "empty" / MARKER_FILE).exists()  # the step marks it
    config = load_config(None, ["run=r", "corpus=texts", "out=empty"])
    mark_tagged_folder_as_ours(config, Run(storage_path("r")))
    put(work / "empty" / "mine.txt")
    for _ in range(2):
        assert run("run=r", "corpus=texts", "out=empty") == (0, True)


@pytest.mark.parametrize(
    ("key", "manifest"), [("run", "data"), ("run", "train_slm"), ("out", "plan"), ("out", "tag_corpus")]
)
def test_a_folder_of_an_earlier_version_without_a_marker_is_resumed(work, key, manifest):
    put(work / "old" / "steps" / f"{manifest}.json", b'{"format_version": 1, "inputs": {}, "result": {}}')
    folders = {"run": "r", "out": "o"} | {key: "old"}
    assert run("corpus=texts", *(f"{k}={v}" for k, v in folders.items())) == (0, True)
    other = {"run": "r2", "out": "o2"} | {"out" if key == "run" else "run": "old"}
    assert run("corpus=texts", *(f"{k}={v}" for k, v in other.items())) == (2, False)


def test_run_and_out_do_not_change_places(work):
    assert run("run=r", "corpus=texts", "out=o") == (0, True)
    mark_output_folder_as_ours(work / "o", "tagged corpus")
    assert run("run=r2", "corpus=texts", "out=r") == (2, False)
    assert run("run=o", "corpus=texts", "out=o2") == (2, False)


def test_a_kill_while_the_folder_is_marked_does_not_block_the_next_start(work):
    put(work / "r" / f".rayner-{'0' * 32}.tmp")
    assert run("run=r", "corpus=texts") == (0, True)
    assert f"r/.rayner-{'0' * 32}.tmp" not in snapshot(work)


def test_the_step_itself_refuses_too(work):
    config = load_config(None, ["run=r", "corpus=texts", "out=texts/out"])
    with pytest.raises(ConfigError, match="which is inside corpus"):
        mark_tagged_folder_as_ours(config, Run(storage_path("r")))
    assert not (work / "texts" / "out").exists()


@pytest.mark.parametrize("job", ["pipeline", "tag_corpus"])
def test_the_real_jobs(work, job):
    before = snapshot(work)
    command = [sys.executable, str(ROOT / "jobs" / f"{job}.py"), "--dry-run", "run=r", "corpus=texts"]
    for setting, expected in (("out=link/out", "inside corpus"), ("out=labelled", "such as 'train.txt'")):
        done = subprocess.run([*command, setting], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert expected in done.stderr
    assert snapshot(work) == before


def test_nesting_by_links_that_lead_nowhere_or_in_a_circle(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "dangling").symlink_to(tmp_path / "later")
    assert not is_same_or_inside(tmp_path / "circle", tmp_path / "x")
    assert is_same_or_inside(tmp_path / "dangling" / "a", tmp_path / "later")
    assert is_same_or_inside(tmp_path / "later" / "a", tmp_path / "dangling")
