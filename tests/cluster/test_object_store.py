"""The main job with everything in an object store: a real S3 server, and what it makes is what a folder gets."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import s3fs
import yaml

from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.tables import iter_documents
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import Run
from rayner.runs.storage import storage_path
from tests.cluster.small import rows_of
from tests.drills.faults import object_store, tagged_files

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def job(config, tmp_path_factory):
    """The job and its inputs in the store; gives a function that runs it."""
    folder = tmp_path_factory.mktemp("store")
    with object_store() as (_, environment):
        store = s3fs.S3FileSystem(use_listings_cache=False)
        for path in Path(config.corpus.path).rglob("*"):
            if path.is_file():
                store.put_file(str(path), f"drill/corpus/{path.relative_to(config.corpus.path).as_posix()}")
        store.put_file(config.train[0], "drill/labelled.txt")
        there = replace(
            config, run="s3://drill/run", corpus=CorpusConfig("s3://drill/corpus"), train=["s3://drill/labelled.txt"]
        )
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(asdict(there), allow_unicode=True), encoding="utf-8")

        def start(*arguments):
            kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
            return subprocess.run(
                [sys.executable, "jobs/pipeline.py", "--config", str(settings), *arguments],
                cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
                env={**kept, **environment, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

        yield start


@pytest.mark.drill
def test_what_a_job_makes_in_an_object_store_is_what_it_makes_in_a_folder(job, run):
    done = job()
    assert done.returncode == 0, done.stdout + done.stderr
    theirs, ours = tagged_files("s3://drill/run/tagged"), Path(run.path("tagged"))
    for table in ("entities", "segments", "evahan"):
        paths = [path for path in (ours / table).rglob("*") if path.is_file()]
        assert {path.relative_to(ours).as_posix(): path.read_bytes() for path in paths} == {
            name: content for name, content in theirs.items() if name.startswith(f"{table}/")
        }
    found = list(iter_documents(storage_path("s3://drill/run/tagged")))
    assert [(item.doc_id, item.text) for item in found] == [
        (row["doc_id"], row["text"]) for row in rows_of(ours, "documents")
    ]
    assert {item.path for item in found} == {f"s3://drill/corpus/{item.doc_id}.txt" for item in found}
    there = Run(storage_path("s3://drill/run"))
    assert read_json(there.path("fusion.json"))["region_rule"] == read_json(run.path("fusion.json"))["region_rule"]
    assert list(there.step_result("data")["faults"]) == ["s3://drill/labelled.txt"]
    assert "s3://drill/corpus/壞.txt" in there.path("report.html").read_text(encoding="utf-8")
    assert not there.path("lock.json").exists()


@pytest.mark.drill
def test_given_again_there_the_job_does_nothing_over_and_refuses_other_settings(job):
    assert job().returncode == 0
    again = job()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "epoch" not in again.stdout
    other = job("slm.epochs=7")
    assert other.returncode == 2
    assert "slm.epochs was 6, is 7" in other.stderr
