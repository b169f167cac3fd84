"""A working folder with everything that the pages name, so that tests can run what the pages say."""

import dataclasses
import json
import shutil
import sys
from functools import cache

import pytest

from rayner.config.loading import load_config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text
from rayner.corpus.parquet_files import write_table
from rayner.corpus.prediction_tables import predictions_to_table
from rayner.runs.json_files import write_json
from rayner.runs.output_folder import RUN_PURPOSE, TAGGED_PURPOSE, write_folder_marker
from rayner.runs.run_folder import Run
from rayner.runs.status import JobStatus
from rayner.runs.step_manifest import StepManifest
from rayner.steps.data import collect_manifest_inputs
from rayner.steps.fusion_rules import write_tuned_fusion
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.docs.pages import ROOT, blocks
from tests.report.synthetic import TYPES, rows
from tests.report.test_run_report import tuned_fusion
from tests.tagging.small_run import write_small_run


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Make the working folder: a clone with labelled files, a corpus and a finished run."""
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("runs", "build", "labelled.txt"):
            (tmp_path / path.name).symlink_to(path)
    sample = (ROOT / "sample" / "labelled.txt").read_text(encoding="utf-8")
    for name in ("labelled.txt", "labelled.conll", "A.txt", "gold.txt", "predicted.txt"):
        (tmp_path / name).write_text(sample, encoding="utf-8", newline="")
    for name in ("my_corpus", "another_corpus", "texts"):
        (tmp_path / name).symlink_to(ROOT / "sample" / "corpus")
    import_user_modules(tmp_path, monkeypatch)
    yaml_texts = (block.text for block in blocks("docs/labels.md") if block.language == "yaml")
    [names] = [text for text in yaml_texts if "persName" in text]
    (tmp_path / "names.yaml").write_text(names, encoding="utf-8")
    for run in ("runs/mine", "runs/demo", "runs/1", "runs/2", "runs/a"):
        write_json(
            tmp_path / run / "status.json", dataclasses.asdict(JobStatus("pipeline", "here", 1, 1, 2, 5, "done"))
        )
        write_tagged(tmp_path / run / "tagged")
        write_folder_marker(tmp_path / run, RUN_PURPOSE, {})
        write_folder_marker(tmp_path / run / "tagged", TAGGED_PURPOSE, {})
    shutil.copytree(tmp_path / "runs/mine/tagged", tmp_path / "TAGGED")
    monkeypatch.chdir(tmp_path)
    for run in ("runs/before", "runs/after"):
        write_scores(tmp_path / run)
    return tmp_path


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
    """A run that `rayner tag` and `rayner.load` take."""
    return write_small_run(tmp_path_factory.mktemp("trained"))


def import_user_modules(folder, monkeypatch):
    """Write the modules of `docs/extending.md` and a file for its reader; let Python forget the modules afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in write_user_modules(folder):
        monkeypatch.setitem(sys.modules, name, None)  # restores `sys.modules` after the test
        del sys.modules[name]


def write_user_modules(folder, max_sentences=None):
    """Write the modules of `docs/extending.md` and a file for its reader; return the names of the modules."""
    modules = {}
    for block in blocks("docs/extending.md"):
        if block.language == "python":
            modules[block.text.partition("\n")[0].removeprefix("# ").removesuffix(".py")] = block.text
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "labelled.jsonl").write_text("".join(read_sample_as_doccano()[:max_sentences]), encoding="utf-8")
    return [*modules]


@cache
def read_sample_as_doccano():
    """Return the labelled sample as lines of doccano."""
    labelled = read_labelled_file(ROOT / "sample" / "labelled.txt")
    rows = [
        {"text": sentence.text, "label": [[span.start, span.end, span.type] for span in sentence.spans]}
        for sentence in split_labelled_text(labelled.text, labelled.spans)
    ]
    return [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]


def write_tagged(folder):
    """Write a tagged corpus of one document, with a segment that was set aside."""
    text = "楚使怒去歸告懷王。秦惠王之時蘇秦死於齊。"
    entities = [
        {**entity("書/一", text.index(name), name, entity_type), "score": score}
        for name, entity_type, score in (("楚", "NG", 0.3), ("懷王", "NR", 0.4), ("蘇秦", "NR", None))
    ]
    cut = text.index("秦惠")
    bounds = ((0, cut, None), (cut, len(text), "its process died"))
    segments = [
        {"doc_id": "書/一", "start": a, "end": b, "gated": False, "passes": 1, "error": error} for a, b, error in bounds
    ]
    write_unit(folder, "unit-000000.parquet", [document("書/一", text)], entities, segments)


def write_scores(run):
    """Write what `docs/measuring.md` compares: predictions of invented models, and a rule."""
    write_table(predictions_to_table(rows()), run / "scores" / "dev.parquet")
    write_tuned_fusion(Run(run), tuned_fusion())
    inputs = collect_manifest_inputs(load_config(None, ["train=labelled.txt"]))
    write_json(run / "steps" / "data.json", StepManifest(inputs, {"types": list(TYPES)}).to_json())
