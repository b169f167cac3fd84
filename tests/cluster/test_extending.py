"""The main job with a dataset format, a fusion rule and a small model of the user's own: those of docs/extending.md.

They lie in the folder that the job is started in, outside the clone, and the job's processes find them there.
"""

import json

import pytest

from rayner.cli import main
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import file_sha256
from tests.cluster.small import SAMPLE, noise, rows_of, run_job, write_llm
from tests.docs.conftest import write_user_modules

pytestmark = pytest.mark.slow

SETTINGS = [
    "run=run", "train=labelled.jsonl", "corpus=corpus", "layout=my_reader:doccano", "slm.family=my_tagger:COUNTS",
    "fusion.rules=my_rule:BY_TYPE", "llm.model=llm", "llm.full_epochs=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    write_user_modules(folder, 300)
    write_llm(folder / "llm")
    book = next((SAMPLE / "corpus").rglob("*.txt")).read_text(encoding="utf-8")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "書.txt").write_text(book[:600], encoding="utf-8", newline="")
    return folder


@pytest.fixture(scope="module")
def done(folder):
    return run_job(folder, *SETTINGS)


def test_the_job_ends_well_and_all_three_are_used(folder, done):
    assert done.returncode == 0, done.stdout + done.stderr
    labelled = read_json(folder / "run/steps/data.json")
    assert labelled["inputs"]["layout"].startswith("my_reader:doccano ")
    items = [json.loads(line) for line in (folder / "labelled.jsonl").read_text(encoding="utf-8").split("\n") if line]
    assert labelled["result"]["characters"] == sum(len(item["text"]) + 1 for item in items)
    assert sum(part["entities"] for part in labelled["result"]["parts"].values()) == sum(len(i["label"]) for i in items)
    trained = read_json(folder / "run/steps/train_slm.json")
    assert trained["result"]["dev_f1"] > 0.4
    assert (folder / "run/models/slm/counts.json").is_file()
    fusion = read_json(folder / "run/fusion.json")
    assert fusion["chosen"] == "my_rule:BY_TYPE"
    assert set(fusion["custom_rules"]["my_rule:BY_TYPE"].values()) <= {"slm", "llm"}
    assert set(fusion["held_out_f1"]) == {"characters", "regions", "spans", "my_rule:BY_TYPE"}


def test_what_the_job_says_is_plain_and_its_own(done):
    assert "step 7/7: tag_corpus" in done.stdout
    assert not noise(done.stdout + done.stderr)


def test_the_corpus_is_tagged_by_them_and_told_so(folder, done):
    about = read_json(folder / "run/tagged/run.json")
    assert about["rule"]["kind"] == about["rule"]["name"] == "my_rule:BY_TYPE"
    assert about["counts"]["set_aside"] == 0
    assert len(rows_of(folder / "run/tagged", "entities")) > 10
    page = (folder / "run/report.html").read_text(encoding="utf-8")
    assert "a custom tagger (my_tagger:COUNTS)" in page
    assert "fused by a custom rule (my_rule:BY_TYPE)" in page
    assert "The rule my_rule:BY_TYPE decides, with " in page


@pytest.mark.drill
def test_given_again_the_job_does_nothing_over_and_refuses_other_code(folder, done):
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*.parquet")}
    assert run_job(folder, *SETTINGS).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("*.parquet")} == before
    rule = folder / "my_rule.py"
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text + "# another\n", encoding="utf-8")
    again = run_job(folder, *SETTINGS)
    rule.write_text(text, encoding="utf-8")
    assert again.returncode == 2
    (said,) = [line for line in again.stderr.splitlines() if line.startswith("error: ")]
    assert "tune_fusion was made from other inputs (fusion.rules was ['my_rule:BY_TYPE " in said


def test_what_was_tagged_by_them_depends_on_their_files(folder, done):
    inputs = read_json(folder / "run/tagged/run.json")["inputs"]
    found = [inputs["slm.family"], inputs["rule"]]
    assert [line.split()[0] for line in found] == ["my_tagger:COUNTS", "my_rule:BY_TYPE"]
    for line in found:
        name, digest = line.split()
        assert digest == file_sha256(folder / f"{name.partition(':')[0]}.py")


@pytest.mark.drill
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("my_tagger", "return np.log(rows / rows", "return np.log(2 * rows / rows",
         "slm.family: expected of my_tagger:COUNTS log-probabilities whose exponentials add up to 1, found 2"),
        ("my_reader", 'item["label"]', 'item["labels"]',
         "labelled.jsonl: my_reader:doccano met KeyError: 'labels'"),
    ],
)  # fmt: skip
def test_a_mistake_in_them_ends_the_job_with_one_line(folder, tmp_path, name, old, new, said):
    write_user_modules(tmp_path, 300)
    write_llm(tmp_path / "llm")
    code = (tmp_path / f"{name}.py").read_text(encoding="utf-8")
    assert old in code
    (tmp_path / f"{name}.py").write_text(code.replace(old, new), encoding="utf-8")
    ended = run_job(tmp_path, *SETTINGS, "corpus=null")
    assert ended.returncode == 2
    assert [line for line in ended.stderr.splitlines() if line.startswith("error: ")] == [f"error: {said}"]
    assert "Traceback" not in ended.stderr + ended.stdout


def test_the_result_is_exported_by_a_format_of_ones_own(folder, done, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["export", "run/tagged", "--to", "my_format:BRACKETS", "out"]) == 0
    written = (folder / "out/書.txt").read_text(encoding="utf-8")
    assert written.count("|") == len(rows_of(folder / "run/tagged", "entities"))
