"""A run that is loaded in one process, without Ray, tags as its job does: models, gate, fusion and cuts."""

import json
import subprocess
import sys

import pytest

import rayner
from rayner.cli import main
from rayner.config.loading import load_config
from rayner.corpus.run_record import read_run_record
from rayner.runs.progress import log
from rayner.runs.run_folder import SETTINGS_FILE
from tests.cluster.small import ROOT, rows_of

pytestmark = pytest.mark.slow
KEYS = ("start", "end", "text", "type", "decided_by")
TAG_ALL = """
import json, sys, rayner
tagged = {}
for run, texts in json.load(sys.stdin).items():
    tagger = rayner.load(run)
    tagged[run] = [[[getattr(e, key) for key in (*%r, "score")] for e in d.entities] for d in tagger.tag_many(texts)]
    assert "ray" not in sys.modules
print(json.dumps(tagged))
""" % (KEYS,)  # noqa: UP031 - the code has braces


@pytest.fixture(scope="module")
def runs(run, with_crf, without_llm):
    """An encoder with an LLM that is asked, a CRF with an LLM, and a CRF alone."""
    return {"encoder and LLM": run, "CRF and LLM": with_crf[1], "CRF": without_llm[1]}


def test_the_entities_are_those_of_the_job_and_their_scores_within_rounding(runs):
    texts = {
        str(each.root): [row["text"] for row in rows_of(each.path("tagged"), "documents")] for each in runs.values()
    }
    done = subprocess.run(
        [sys.executable, "-c", TAG_ALL], input=json.dumps(texts), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    tagged = json.loads(done.stdout)
    for name, each in runs.items():
        rows = rows_of(each.path("tagged"), "entities")
        doc_ids = [row["doc_id"] for row in rows_of(each.path("tagged"), "documents")]
        expected = [[row for row in rows if row["doc_id"] == doc_id] for doc_id in doc_ids]
        found = tagged[str(each.root)]
        assert [[e[:-1] for e in entities] for entities in found] == [
            [[row[key] for key in KEYS] for row in rows] for rows in expected
        ], name
        assert [e[-1] for entities in found for e in entities] == pytest.approx(
            [row["score"] for rows in expected for row in rows], abs=1e-5
        ), name
        assert len(rows) > 10, name
    assert {row["decided_by"] for row in rows_of(runs["encoder and LLM"].path("tagged"), "entities")} > {"slm"}


def test_the_settings_of_a_run_are_those_that_made_it(with_crf, without_llm):
    for config, run in (with_crf, without_llm):
        assert load_config(run.local_path(SETTINGS_FILE)) == config


def test_without_the_llm_the_command_and_one_process_tag_the_same(with_crf, tmp_path, monkeypatch):
    for attribute in ("handlers", "level", "propagate"):  # a job changes these for its process
        monkeypatch.setattr(log, attribute, getattr(log, attribute))
    config, run = with_crf
    out = tmp_path / "out"
    arguments = ["tag", str(run.root), config.corpus.path, "--out", str(out), "--no-llm"]
    assert main([*arguments, "--dry-run"]) == 0
    assert not out.exists()
    assert main(arguments) == 0
    record = read_run_record(out)
    assert (record.asks_llm, record.counts.passes) == (False, 0)
    assert record.llm == "the LLM is not asked, because fusion.llm=never: the LLM-free control tags"
    documents = rayner.load(run.root, llm=False).tag_many([row["text"] for row in rows_of(out, "documents")])
    found = [[getattr(e, key) for key in KEYS] for document in documents for e in document.entities]
    assert sorted(found) == sorted([row[key] for key in KEYS] for row in rows_of(out, "entities"))
    assert len(found) > 10
