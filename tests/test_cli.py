"""What users see of the jobs and the `rayner` command: exit codes, one-line messages, no traceback for wrong inputs."""

import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

import rayner
from rayner.cli import COMMANDS, build_parser, main, parse_arguments
from rayner.cli.jobs.commands import JOB_COMMANDS
from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.running import replace_existing_folders_in_config, run_job
from rayner.cluster.environment import SUBMITTED_JOB_VARIABLE
from rayner.config.declare import iter_settings
from rayner.config.settings import Config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.review.estimate_file import read_estimate, write_estimate
from rayner.errors import ConfigError, DataError, TooManySetAsideError
from rayner.runs.json_files import read_json, write_json
from rayner.runs.lock import hold_lock
from rayner.runs.output_folder import mark_output_folder_as_ours
from rayner.runs.progress import record_step_start
from rayner.site.build import is_up_to_date
from tests.corpus.tagged_corpora import document, entity, write_unit

GOLD = "懷\tB-NR\n王\tE-NR\n曰\tO\n。\tO\n楚\tS-NG\n。\tO\n"
PREDICTED = GOLD.replace("楚\tS-NG", "楚\tS-NS")


@pytest.fixture
def labelled(tmp_path):
    """Writes a labelled file; returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def one_line(capsys):
    """What was said on the standard error, which must be one line that begins with `error: `."""
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    return said.removeprefix("error: ").removesuffix("\n")


# ---- rayner eval


def test_eval_of_a_file_against_itself_is_perfect(labelled, capsys):
    gold = labelled("gold.txt", GOLD)
    assert main(["eval", gold, gold]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"all \(micro\) +2 +2 +2 +100\.00 +100\.00 +100\.00", out)
    assert not err


def test_eval_writes_the_scores_as_json(labelled, tmp_path, capsys):
    target = tmp_path / "new" / "scores.json"
    assert main(["eval", labelled("g.txt", GOLD), labelled("p.txt", PREDICTED), "--json", str(target)]) == 0
    result = json.loads(target.read_text(encoding="utf-8"))
    micro = result["systems"]["predicted"]["micro"]
    assert (micro["right"], micro["predicted"], micro["gold"], micro["f1"]) == (1, 2, 2, 0.5)
    assert result["n_chars"] == 6
    assert "50.00" in capsys.readouterr().out


def test_eval_recognises_each_file_by_its_content(labelled, capsys):
    conll = labelled("c.txt", "懷王 x B-NR\n曰 x O\n")
    csv = labelled("c.json", "text,entities\n懷王曰,懷王/NR\n")
    assert main(["eval", conll, csv]) == 0
    told = capsys.readouterr().out.splitlines()[:2]
    assert told == [
        f"{conll} was read as CoNLL columns; 1 text, 1 entity of 1 type",
        f"{csv} was read as a spreadsheet (CSV, commas), a text with its entities a row; 1 text, 1 entity of 1 type",
    ]


def test_eval_reads_the_layout_that_is_asked_for(labelled, capsys):
    conll = labelled("c.txt", "懷王 x B-NR\n曰 x O\n")
    assert main(["eval", conll, conll, "--layout", "conll"]) == 0
    capsys.readouterr()
    assert main(["eval", conll, conll, "--layout", "evahan"]) == 2
    assert f"{conll}:1: " in one_line(capsys)


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("懷\tO\n王\tO\tO\n", ":2: ", "3 columns"),
        ("懷\tO\n\n王\tQ-NR\n", ":3: ", "'Q-NR'"),
        ("懷王\tO\n", ":1: ", "one character"),
        ("懷 O\n", ":1: ", "no tab"),
        ("懷\tO\n".encode() + b"\xff\tO\n", ":2: ", "UTF-8"),
        ("", ": ", "none"),
    ],
)
@pytest.mark.parametrize("side", ["gold", "predicted"])
def test_eval_of_a_wrong_file_ends_with_2_and_names_file_and_line(labelled, capsys, content, where, what, side):
    bad, good = labelled("bad.txt", content), labelled("good.txt", GOLD)
    files = [bad, good] if side == "gold" else [good, bad]
    assert main(["eval", *files, "--layout", "evahan"]) == 2
    message = one_line(capsys)
    assert message.startswith(f"{bad}{where}expected ")
    assert what in message


def test_eval_of_a_missing_file_or_another_text_ends_with_2(labelled, tmp_path, capsys):
    gold = labelled("gold.txt", GOLD)
    assert main(["eval", gold, str(tmp_path / "none.txt")]) == 2
    assert str(tmp_path / "none.txt") in one_line(capsys)
    other = labelled("other.txt", GOLD.replace("曰", "云"))
    assert main(["eval", gold, other]) == 2
    message = one_line(capsys)
    assert other in message
    assert "offset 2" in message


# ---- rayner export


def test_export_writes_what_reads_back_as_the_same_entities(tmp_path, capsys):
    text = "懷王曰。\ue000<𠀀楚"
    write_unit(
        tmp_path / "t", "u.parquet", [document("a/b", text)], [entity("a/b", 0, "懷王"), entity("a/b", 7, "楚", "NG")]
    )
    assert main(["export", str(tmp_path / "t"), "--to", "evahan", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: 1 documents, 8 characters, 2 entities\n"
    back = read_labelled_file(tmp_path / "out" / "a" / "b.txt")
    assert back.text == text
    assert [(s.start, s.end, s.type) for s in back.spans] == [(0, 2, "NR"), (7, 8, "NG")]


def test_export_of_what_is_no_tagged_corpus_ends_with_2_and_names_it(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none"), "--to", "evahan", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "none") in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_export_calls_types_as_asked_and_goes_on(tmp_path, capsys):
    write_unit(tmp_path / "t", "u.parquet", [document("b", "懷王")], [entity("b", 0, "懷王")])
    tags = tmp_path / "tags.yaml"
    tags.write_text("NR: PER\n")
    arguments = ["export", str(tmp_path / "t"), "--to", "conll", str(tmp_path / "out"), "--scheme", "BIOES"]
    assert main([*arguments, "--tags", str(tags)]) == 0
    assert (tmp_path / "out" / "b.conll").read_text() == "懷\tB-PER\n王\tE-PER\n"
    assert main([*arguments, "--keep"]) == 0
    assert "PER" in (tmp_path / "out" / "b.conll").read_text()
    assert main(arguments) == 0
    assert (tmp_path / "out" / "b.conll").read_text() == "懷\tB-NR\n王\tE-NR\n"
    tags.write_text("NR: a b\n")
    capsys.readouterr()
    assert main([*arguments, "--tags", str(tags)]) == 2
    assert one_line(capsys) == "tags: expected for NR a name that the format can write, found 'a b'"


def test_an_export_without_texts_counts_no_characters(tmp_path, capsys):
    write_unit(tmp_path / "t", "u.parquet", [document("b", "懷王曰")], [entity("b", 0, "懷王")])
    assert main(["export", str(tmp_path / "t"), "--to", "csv", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: 1 documents, 1 entities\n"


@pytest.mark.parametrize(("out", "relation"), [("run/tagged", "in"), ("run/tagged/tei/a", "in"), ("run", "around")])
def test_an_export_into_the_tagged_corpus_or_around_it_is_refused(tmp_path, capsys, out, relation):
    tagged = tmp_path / "run" / "tagged"
    write_unit(tagged, "u.parquet", [document("b", "懷王")])
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", str(tagged), "--to", "tei", str(tmp_path / out)]) == 2
    assert one_line(capsys) == (
        f"{tmp_path / out}: expected a folder outside the tagged corpus, found one {relation} {tagged}: "
        "name another folder"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_into_a_folder_with_other_files_is_refused(tmp_path, capsys):
    write_unit(tmp_path / "t", "u.parquet", [document("b", "懷王")])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert main(["export", str(tmp_path / "t"), "--to", "tei", str(tmp_path / "mine")]) == 2
    assert "such as 'notes.txt': name another folder. Nothing was written" in one_line(capsys)


# ---- a run folder in place of the tagged corpus in it


@pytest.fixture
def run_folder(tmp_path):
    """A run folder with a tagged corpus of two documents."""
    run = tmp_path / "run"
    rows = [{"doc_id": name, "start": 0, "end": 4, "gated": True, "passes": 0, "error": None} for name in "ab"]
    write_unit(
        run / "tagged",
        "u.parquet",
        [document("a", "楚王\n曰"), document("b", "懷王\n曰")],
        [entity("b", 0, "懷王")],
        rows,
    )
    return run


def test_commands_find_the_tagged_corpus_of_a_run(run_folder, tmp_path, capsys):
    for arguments, said in (
        (["export", str(run_folder), "--to", "tei", str(tmp_path / "tei")], "2 documents, 8 characters, 1 entities"),
        (["view", str(run_folder)], f"open {(run_folder / 'tagged' / 'site' / 'index.html').as_uri()}"),
        (["review", "pick", str(run_folder), str(tmp_path / "pick")], "pick: 0 sentences"),
    ):
        assert main(arguments) == 0
        assert said in capsys.readouterr().out
    assert main(["verify", str(run_folder)]) == 2  # this corpus has no record of its units
    assert str(run_folder / "tagged") in capsys.readouterr().err


def test_a_run_without_a_tagged_corpus_is_told_from_any_folder(tmp_path, capsys):
    for name in ("data", "steps"):
        (tmp_path / "run" / name).mkdir(parents=True)
    assert main(["view", str(tmp_path / "run")]) == 2
    assert one_line(capsys) == (
        f"{tmp_path / 'run'}: expected a tagged corpus (folders documents, entities, segments), found no documents: "
        "it is a run folder without a tagged corpus; tag one, or name the folder that was out="
    )


def test_eval_finds_the_gold_text_in_a_tagged_corpus(run_folder, labelled, tmp_path, capsys):
    gold = labelled("gold.txt", "懷\tB-NR\n王\tE-NR\n\n曰\tS-NR\n")
    assert main(["eval", gold, str(run_folder), "--json", str(tmp_path / "scores.json")]) == 0
    scores = read_json(tmp_path / "scores.json")
    assert scores["predicted"] == f"{run_folder / 'tagged'}: b"
    micro = scores["systems"]["predicted"]["micro"]
    assert (micro["right"], micro["predicted"], micro["gold"]) == (1, 1, 2)
    capsys.readouterr()
    assert main(["eval", labelled("other.txt", "楚\tO\n"), str(run_folder)]) == 2
    assert one_line(capsys) == (
        f"{run_folder / 'tagged'}: expected a document with the text of {tmp_path / 'other.txt'} (1 characters, "
        "'楚' ...), found none among 2: tag the text of that file"
    )


@pytest.mark.parametrize(("option", "able"), [(["--scheme", "BIO"], "conll"), (["--bom"], "csv")])
def test_export_refuses_what_a_format_does_not_take(tmp_path, capsys, option, able):
    assert main(["export", str(tmp_path), "--to", "tei", str(tmp_path / "out"), *option]) == 2
    assert one_line(capsys) == f"{option[0]}: expected with --to {able}, found it with --to tei"


def test_export_to_where_nothing_can_be_written_ends_with_2(tmp_path, capsys):
    write_unit(tmp_path / "t", "u.parquet", [document("b", "懷王")])
    (tmp_path / "file").touch()
    assert main(["export", str(tmp_path / "t"), "--to", "tei", str(tmp_path / "file" / "out")]) == 2
    assert one_line(capsys).startswith(f"{tmp_path / 'file' / 'out'}: expected a folder to write files in, found: ")


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["eval"], ["eval", "a"], ["export", "a", "b"], ["export", "a", "--to", "odd", "b"]]
)
def test_wrong_arguments_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: rayner" in capsys.readouterr().err


def test_an_error_nobody_foresaw_is_not_hidden(monkeypatch, labelled):
    monkeypatch.setattr("rayner.cli.eval.evaluate_files", lambda *_, **__: 1 / 0)
    gold = labelled("gold.txt", GOLD)
    with pytest.raises(ZeroDivisionError):  # which Python itself turns into a traceback and exit code 1
        main(["eval", gold, gold])


# ---- rayner review


def test_review_goes_out_and_comes_back_as_training_data(tmp_path, capsys):
    text = "懷王曰善。蘇秦死於齊。"
    rows = [
        {"doc_id": "a", "start": s, "end": e, "gated": True, "passes": 0, "error": None} for s, e in ((0, 5), (5, 11))
    ]
    write_unit(tmp_path / "t", "u.parquet", [document("a", text)], [entity("a", 0, "懷王"), entity("a", 5, "蘇")], rows)
    out = tmp_path / "out"
    assert main(["review", "pick", str(tmp_path / "t"), str(out), "--to", "evahan", "--n", "9"]) == 0
    assert capsys.readouterr().out == f"{out}: 2 sentences of 1 documents, 11 characters\n"
    path = out / "sentences.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("蘇\tS-NR\n秦\tO", "蘇\tB-NX\n秦\tE-NX"), encoding="utf-8")
    back = ["review", "import", str(path), str(tmp_path / "back.txt"), "--from", str(out / "provenance.json")]
    assert main(back) == 2
    assert one_line(capsys).startswith(f"{path}:7: expected a type of NR, found 'NX'")
    assert main([*back, "--types", "NX"]) == 0
    assert "2 sentences, 1 of them different from the prediction" in capsys.readouterr().out
    assert {(s.end - s.start, s.type) for s in read_labelled_file(tmp_path / "back.txt").spans} == {
        (2, "NX"),
        (2, "NR"),
    }
    skip = ["--skip", str(tmp_path / "back.provenance.json")]
    assert main(["review", "pick", str(tmp_path / "t"), str(tmp_path / "2"), "--types", "NB", *skip]) == 0
    assert ": 0 sentences" in capsys.readouterr().out
    assert read_json(tmp_path / "2" / "provenance.json")["types"] == ["NB", "NR"]


def test_a_random_sample_goes_out_and_comes_back_as_an_estimate(tmp_path, capsys):
    text = "懷王曰善。" * 40
    rows = [
        {"doc_id": "史/一", "start": s, "end": s + 5, "gated": True, "passes": 0, "error": None}
        for s in range(0, 200, 5)
    ]
    entities = [entity("史/一", s, "懷王") for s in range(0, 200, 5)]
    write_unit(tmp_path / "t", "u.parquet", [document("史/一", text)], entities, rows)
    out, path = tmp_path / "out", tmp_path / "out" / "sentences.txt"
    assert main(["review", "sample", str(tmp_path / "t"), str(out), "--to", "evahan", "--n", "30"]) == 0
    assert capsys.readouterr().out == f"{out}: 30 sentences of 1 documents, 150 characters\n"
    shown = path.read_text(encoding="utf-8")
    path.write_text(shown.replace("懷\tB-NR\n王\tE-NR", "懷\tO\n王\tO", 6), encoding="utf-8")
    estimate = ["review", "estimate", str(tmp_path / "t"), str(path), "--from", str(out / "provenance.json")]
    for _ in range(2):  # the earlier estimate is replaced
        assert main(estimate) == 0
    said = capsys.readouterr().out
    assert "30 of 30 sentences drawn were reviewed; the corpus has 40." in said
    assert "Of 100 tagged names about" in said
    assert main(["review", "consistency", str(tmp_path / "t")]) == 0
    assert capsys.readouterr().out == "errors\tkind\tname\ttagged as\tdocument\ta doubtful place\n"
    found = read_estimate(tmp_path / "t")
    assert (found.population, found.all.predicted) == (40, 30)
    assert main(["view", str(tmp_path / "t")]) == 0
    page = (tmp_path / "t" / "site" / "index.html").read_text(encoding="utf-8")
    assert "A person marked 30 sentences of this corpus" in page
    assert is_up_to_date(tmp_path / "t", tmp_path / "t" / "site")
    write_estimate(tmp_path / "t", replace(found, reviewed=29))
    assert not is_up_to_date(tmp_path / "t", tmp_path / "t" / "site")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pick", "none", "out"], "expected a tagged corpus"),
        (["pick", "none", "out", "--n", "0"], "--n: expected 1 or more"),
        (["pick", "none", "out", "--types", "NR,a b"], "found 'a b'"),
        (["import", "none.json", "out.txt", "--from", "none"], "none"),
        (["import", "one.json", "two.json", "--from", "none"], "OUT: expected a labelled file to write"),
        (["import", "one.txt", "one.txt", "--from", "none"], "OUT: expected a labelled file to write"),
        (["sample", "none", "out"], "expected a tagged corpus"),
        (["sample", "none", "out", "--n", "-1"], "--n: expected 1 or more"),
        (["consistency", "none"], "expected a tagged corpus"),
        (["consistency", "none", "--n", "0"], "--n: expected 1 or more"),
        (["estimate", "none", "none.json", "--from", "none"], "none"),
        (
            ["estimate", "none", "none.json", "--from", "x", "--within", "0"],
            "--within: expected points between 0 and 100",
        ),
    ],
)
def test_a_wrong_review_ends_with_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["review", *arguments]) == 2
    assert said in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


# ---- jobs


class JobOnTrial:
    """A job whose step and check note their calls, and may raise; Ray is not started, but that it would be is noted."""

    def __init__(self, monkeypatch):
        self.calls, self.config, self.run = [], None, None
        self.errors = {}

        @contextmanager
        def session():
            self.calls.append("connect")
            yield

        monkeypatch.setattr("rayner.cluster.session.ray_session", session)

    def _note(self, name):
        def call(config, run):
            self.calls.append(name)
            self.config, self.run = config, run
            if name in self.errors:
                raise self.errors[name]
            return ["all is well"]

        return call

    def __call__(self, *arguments):
        return run_job(Job("job", "What it does.", self._note("step"), self._note("check")), arguments)


@pytest.fixture
def job(monkeypatch):
    log = logging.getLogger("rayner")
    before = log.handlers, log.level, log.propagate
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield JobOnTrial(monkeypatch)
    log.handlers, log.level, log.propagate = before


def test_a_job_checks_then_connects_then_works(job, tmp_path, capsys):
    assert job(f"run={tmp_path}", "seed=7") == 0
    assert job.calls == ["check", "connect", "step"]
    assert job.config.seed == 7
    assert job.run.root == tmp_path
    assert "all is well" in capsys.readouterr().out


def test_a_dry_run_starts_and_writes_nothing(job, tmp_path, capsys):
    assert job("--dry-run", f"run={tmp_path / 'r'}") == 0
    assert job.calls == ["check"]
    assert "all is well" in capsys.readouterr().out
    assert not (tmp_path / "r").exists()


def test_on_a_cluster_the_check_looks_at_the_cluster(job, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert job(f"run={tmp_path}") == 0
    assert job.calls.index("connect") < job.calls.index("check") < job.calls.index("step")


def test_options_and_settings_may_come_in_any_order(job, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("seed: 5\nslm: {epochs: 2}\n")
    assert job("seed=6", "--dry-run", f"run={tmp_path / 'r'}", "--config", str(path), "llm.epochs=4") == 0
    assert (job.config.seed, job.config.slm.epochs, job.config.llm.epochs) == (6, 2, 4)


def test_the_run_folder_is_the_same_from_wherever_workers_run(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert job("run=here/r") == 0
    assert job.run.root == tmp_path / "here" / "r"


def test_fresh_takes_the_first_folders_that_are_not_there_and_deletes_nothing(job, tmp_path):
    for name in ("r", "r-2", "o"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept").write_text("x")
    assert job("--fresh", f"run={tmp_path / 'r'}", f"out={tmp_path / 'o'}") == 0
    assert job.run.root == tmp_path / "r-3"
    assert job.config.out == str(tmp_path / "o-2")
    assert all((tmp_path / name / "kept").exists() for name in ("r", "r-2", "o"))
    assert job("--fresh", f"run={tmp_path / 'new'}") == 0
    assert (job.run.root, job.config.out) == (tmp_path / "new", None)


def test_fresh_of_a_job_that_fills_the_out_folder_keeps_its_run():
    config = Config(run="r/")
    assert replace_existing_folders_in_config(config, "out") == replace(config, out="r/tagged")
    assert replace_existing_folders_in_config(replace(config, out="memory://o"), "out").out == "memory://o"


@pytest.mark.parametrize("key", ["run", "out"])
def test_a_submitted_job_with_a_relative_folder_ends_with_2(job, tmp_path, capsys, monkeypatch, key):
    monkeypatch.setenv(SUBMITTED_JOB_VARIABLE, "{}")
    assert job(f"run={tmp_path}", "out=s3://bucket/out") == 0
    assert job(f"run={tmp_path}", f"{key}=runs/a") == 2
    assert one_line(capsys).startswith(f"{key}: expected, in a submitted job, an absolute path")


def test_ctrl_c_ends_a_job_with_130_and_says_how_to_resume(job, tmp_path, capsys):
    job.errors["step"] = KeyboardInterrupt()
    assert job(f"run={tmp_path}") == 130
    assert capsys.readouterr().err == "interrupted; rerun the same command to resume\n"


def test_a_job_may_be_named_and_is_imported_when_the_settings_are_right(job, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_job.py").write_text("print('imported')\ndef step(config, run): print('done')\n"
                                         "def check(config, run): return ['fine']\n")  # fmt: skip
    named = Job("the-job", "What it does.", "own_job:step", "own_job:check")
    assert run_job(named, ["seed=x"]) == 2
    assert "imported" not in capsys.readouterr().out
    assert run_job(named, [f"run={tmp_path / 'r'}"]) == 0
    assert re.search("imported.*fine.*done", capsys.readouterr().out, re.DOTALL)
    assert read_json(tmp_path / "r" / "status.json")["job"] == "the-job"


def test_a_folder_that_another_job_works_in_is_refused_before_anything_starts(job, tmp_path, capsys):
    mark_output_folder_as_ours(tmp_path / "r", "run")
    with hold_lock(tmp_path / "r"):
        assert job(f"run={tmp_path / 'r'}") == 2
    assert "locked by process" in one_line(capsys)
    assert "connect" not in job.calls


def help_of(job, capsys, *words):
    with pytest.raises(SystemExit) as caught:
        job("--help", *words)
    assert caught.value.code == 0
    assert job.calls == []
    return capsys.readouterr().out


def test_help_shows_the_ten_settings_that_people_need_and_how_to_see_all(job, capsys):
    out = help_of(job, capsys)
    shown = [key for key in (info.key for info in iter_settings(Config)) if re.search(rf"^  {key} ", out, re.M)]
    assert shown == ["run", "train", "layout", "corpus", "out", "seed", "device", "slm.family", "slm.model",
                     "llm.model"]  # fmt: skip
    assert out.rstrip().endswith("--help all")
    assert "--dry-run" in out


def test_help_all_lists_every_key_with_meaning_and_default(job, capsys):
    out = help_of(job, capsys, "all")
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ") and line.split()}
    said = " ".join(out.split())
    for info in iter_settings(Config):
        assert info.key in lines
        assert " ".join(info.declaration.description.split()) in said
        if info.key != "llm.type_glosses":
            assert f"({info.default!r})" in said
    assert "--dry-run" in said
    assert "What it does." in said


def test_a_job_without_a_run_folder_ends_with_2(job, capsys):
    assert job() == 2
    assert one_line(capsys).startswith("run: expected ")
    assert job.calls == []


def test_a_run_folder_that_is_a_file_ends_with_2(job, tmp_path, capsys):
    (tmp_path / "f").write_text("")
    assert job(f"run={tmp_path / 'f'}") == 2
    assert str(tmp_path / "f") in one_line(capsys)
    assert job.calls == []


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("slm.epoch=3", "slm.epochs"),
        ("slm.epochs=many", "slm.epochs"),
        ("slm.epochs=-1", "slm.epochs"),
        ("device=tpu", "device"),
        ("nonsense", "'nonsense'"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_names_the_key(job, tmp_path, capsys, argument, named):
    assert job(f"run={tmp_path}", argument) == 2
    assert named in one_line(capsys)
    assert job.calls == []


def test_a_configuration_that_is_not_there_ends_with_2_and_names_the_file(job, tmp_path, capsys):
    assert job("--config", str(tmp_path / "none.yaml"), f"run={tmp_path}") == 2
    assert str(tmp_path / "none.yaml") in one_line(capsys)


@pytest.mark.parametrize("where", ["check", "step"])
@pytest.mark.parametrize(("kind", "code"), [(ConfigError, 2), (DataError, 2), (TooManySetAsideError, 3)])
def test_an_error_made_for_users_is_one_line_and_its_exit_code(job, tmp_path, capsys, where, kind, code):
    job.errors[where] = kind("a.txt:3: expected a, found b")
    assert job(f"run={tmp_path}") == code
    assert one_line(capsys) == "a.txt:3: expected a, found b"
    assert ("step" in job.calls) == (where == "step")


@pytest.mark.parametrize("where", ["check", "step"])
def test_any_other_error_keeps_its_traceback(job, tmp_path, where):
    job.errors[where] = KeyError("x")
    with pytest.raises(KeyError):  # which Python itself turns into a traceback and exit code 1
        job(f"run={tmp_path}")


# ---- completion in the shell


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rayner ev", ["eval"]),
        ("rayner run lap", ["laptop"]),
        ("rayner run laptop slm.fam", ["slm.family="]),
        ("rayner export --t", ["--to", "--tags"]),
        ("rayner doctor slm.crf.max", ["slm.crf.max_iterations="]),
    ],
)
def test_a_shell_is_told_what_could_come_next(line, expected, tmp_path):
    told = tmp_path / "told"
    asks = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line)),
            "COMP_TYPE": "", "_ARGCOMPLETE_STDOUT_FILENAME": str(told)}  # fmt: skip
    subprocess.run([sys.executable, "-c", "from rayner.cli import main; main()"], env=os.environ | asks, check=True)
    assert [word.strip() for word in told.read_text().split("\n")] == expected


# ---- rayner status


def status_of(capsys, folder):
    capsys.readouterr()
    assert main(["status", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_job_says_in_its_run_folder_that_it_runs_and_that_it_is_done(job, tmp_path, capsys):
    seen = []

    def step(config, run):
        while not run.path("status.json").exists():
            time.sleep(0.01)
        seen.append(read_json(run.path("status.json")))
        record_step_start(2, 3, "tag_corpus")

    arguments = [f"run={tmp_path / 'r'}", f"out={tmp_path / 'o'}"]
    assert run_job(Job("step", "What it does.", step, lambda *_: []), arguments) == 0
    assert (seen[0]["job"], seen[0]["state"], seen[0]["pid"]) == ("step", "running", os.getpid())
    told = status_of(capsys, tmp_path / "r")
    assert (told["state"], told["step"], told["steps"], told["name"]) == ("done", 2, 3, "tag_corpus")
    assert main(["status", str(tmp_path / "r"), "--watch"]) == 0
    assert f"{tmp_path / 'r'}: step: done in " in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (DataError("a.txt:3: expected a, found b"), "failed", "a.txt:3: expected a, found b"),
        (TooManySetAsideError("too many"), "done", "too many"),
        (KeyError("x"), "failed", "KeyError: 'x'"),
        (SystemExit(143), "stopped", ""),
    ],
)
def test_how_a_job_ended_is_told(job, tmp_path, capsys, error, state, said):
    job.errors["step"] = error
    with suppress(KeyError, SystemExit):
        job(f"run={tmp_path}")
    told = status_of(capsys, tmp_path)
    assert (told["state"], told["error"]) == (state, said)


def test_a_dead_job_is_told_by_its_silence(job, tmp_path, capsys):
    assert job(f"run={tmp_path}") == 0
    told = read_json(tmp_path / "status.json")
    write_json(tmp_path / "status.json", told | {"state": "running", "updated": told["updated"] - 3600})
    assert main(["status", str(tmp_path), "--watch"]) == 0
    assert "unresponsive for 1 h 0 min" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"job": 1}', "[" * 100_000, '{"job": "\\ud800"}'])
def test_a_status_that_is_none_ends_with_2(tmp_path, capsys, content):
    assert main(["status", str(tmp_path)]) == 2
    assert "no status.json in it" in one_line(capsys)
    (tmp_path / "status.json").write_text(content)
    assert main(["status", str(tmp_path)]) == 2
    assert str(tmp_path / "status.json") in one_line(capsys)
    assert main(["status", str(tmp_path), "--watch", "0"]) == 2
    assert "--watch: expected more than 0" in one_line(capsys)


# ---- help


def test_every_command_shows_examples_that_it_takes(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        _, _, shown = capsys.readouterr().out.partition("examples:\n")
        lines = [shlex.split(line, comments=True) for line in shown.splitlines() if line.strip()]
        assert lines
        for program, *arguments in lines:
            assert program == "rayner"
            call = parse_arguments(arguments, build_parser(arguments)).call
            assert (
                call.keywords["job"] == JOB_COMMANDS[name]
                if name in JOB_COMMANDS
                else call.__module__.startswith(f"rayner.cli.{name}")
            )


def test_the_package_itself_is_the_command():
    done = subprocess.run([sys.executable, "-m", "rayner", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{rayner.__version__}\n"
