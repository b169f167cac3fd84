"""The main job without an LLM: the small model and a rule, and nothing that speaks of an LLM."""

import dataclasses
import re
import shutil
import subprocess
import sys

import pytest

from rayner.cli import main
from rayner.config.model_settings import IndexConfig
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.run_record import read_run_record
from rayner.errors import ConfigError
from rayner.fusion.control import give_empty_answer
from rayner.runs import progress
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import Run
from rayner.steps.fusion_rules import load_rules, read_tuned_fusion
from rayner.steps.loading import load_tagger
from rayner.steps.pipeline import run_pipeline
from rayner.steps.preflight import (
    check_and_describe_benchmark,
    check_and_describe_llm_training,
    check_and_describe_pipeline,
    check_and_describe_tagging,
)
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import ROOT, files_of, rows_of, stamps, with_settings

pytestmark = pytest.mark.slow
STEPS = ["data", "score", "train_slm", "tune_fusion"]


def test_there_is_no_index_and_no_llm(without_llm):
    _, run = without_llm
    assert sorted(path.stem for path in run.path("steps").iterdir()) == STEPS
    assert [path.name for path in run.path("models").iterdir()] == ["slm"]
    assert not run.path("index").exists()
    assert set(read_json(run.path("pipeline.json"))["models"]) == {"train_slm", "tune_fusion"}
    assert not {"peft", "deepspeed"} & set(read_json(run.path("pipeline.json"))["versions"])


def test_the_rule_is_the_control_and_is_calibrated(without_llm):
    _, run = without_llm
    fusion = read_tuned_fusion(run)
    assert (fusion.control, fusion.llm_worth, fusion.budget) == (None, None, None)
    assert set(fusion.baseline_f1) == {"slm", "fused"}
    assert fusion.calibration.with_llm
    assert all(weight == 0 for name, weight in fusion.span_rule.named_weights.items() if name.startswith("LLM"))
    systems = read_json(run.path("evaluation.json"))["systems"]
    assert set(systems) == {"slm", "fused", "fused_characters", "fused_regions", "fused_spans"}
    assert systems["fused"]["micro"]["f1"] > 0.3


def test_the_corpus_is_tagged_by_the_rule_with_scores(without_llm):
    config, run = without_llm
    out = run.path("tagged")
    record, entities = read_run_record(out), rows_of(out, "entities")
    assert (record.asks_llm, record.llm_worth, record.basis) == (False, None, "none")
    assert record.llm == "no LLM is asked: the run has none (llm.model=none)"
    assert set(record.models) == {"train_slm"}
    assert (record.counts.passes, record.counts.llm_characters) == (0, 0)
    assert record.counts.gated == record.counts.segments
    assert record.markup == MarkupFiles(1, f"{config.corpus.path}/雜.txt", "</NR>")
    assert record.warnings == [record.markup.format_warning()]
    assert record.scripts.labelled.script == record.scripts.corpus.script == "traditional"
    assert len(entities) > 10
    assert {(row["decided_by"], row["llm_type"]) for row in entities} == {("slm", None)}
    assert all(0 < row["score"] < 1 for row in entities)

    tagger, fusion = load_tagger(config, run), read_tuned_fusion(run)
    rule = load_rules(fusion).chosen
    (text,) = [row["text"] for row in rows_of(out, "documents") if row["doc_id"] == "書/一"]
    first = next(row for row in rows_of(out, "segments") if row["doc_id"] == "書/一" and row["end"] - row["start"] > 8)
    sentence = text[first["start"] : first["end"]]
    (slm,) = tagger.predict([sentence])
    segment = give_empty_answer(segment_of(sentence, slm))
    expected = [(e.span.start + first["start"], e.span.end + first["start"], e.span.type) for e in rule.decide(segment)]
    found = [(row["start"], row["end"], row["type"]) for row in entities if row["doc_id"] == "書/一"]
    assert [place for place in found if first["start"] <= place[0] < first["end"]] == expected


def segment_of(text, slm):
    from rayner.text.predictions import SegmentPrediction

    return SegmentPrediction("d", 0, len(text), text, slm)


def test_the_report_says_that_there_is_no_llm_and_nothing_else_about_one(without_llm):
    _, run = without_llm
    page = run.path("report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<script.*?</script>|<style.*?</style>|<section id=\"more\".*?</section>", "", page, flags=re.S)
    shown = re.sub(r"\sdata-zh=\"[^\"]*\"", "", shown)
    assert "This run has no LLM." in shown
    left = re.sub(r"<[^>]*>", "", shown).replace("This run has no LLM.", "")
    assert not re.findall(r".*(?:LLM|large model|fused|[Cc]ontrol|lambda|λ).*", left)


def test_given_again_the_job_does_nothing_over(without_llm):
    config, run = without_llm
    before = stamps(run.root, "models", "scores", "tagged/entities", "tagged/scores")
    run_pipeline(config, run)
    assert stamps(run.root, "models", "scores", "tagged/entities", "tagged/scores") == before


@pytest.mark.parametrize("change", [{"actors": 2}, {"slm": {"actors": 1}}], ids=["two actors", "actors of the slm"])
def test_other_actors_make_the_same_bytes_and_the_progress_says_that_there_is_no_llm(
    without_llm, change, tmp_path, monkeypatch
):
    config, run = without_llm
    notes = []
    monkeypatch.setattr(progress, "progress_display", lambda: lambda step: notes.append(step.note))
    score = dataclasses.replace(config.score, actors=change.get("actors", 1))
    score = dataclasses.replace(score, slm=dataclasses.replace(score.slm, **change.get("slm", {})))
    tag_corpus(dataclasses.replace(config, score=score, out=str(tmp_path / "out")), run)
    assert set(notes) == {"without an LLM"}
    assert files_of(tmp_path / "out") == files_of(run.path("tagged"))
    assert main(["verify", str(tmp_path / "out"), "--run", str(run.root)]) == 0


def test_kept_predictions_are_fused_again_without_the_small_model(without_llm, tmp_path):
    config, run = without_llm
    copied = Run(tmp_path / "run")  # other processes read the shared run meanwhile
    shutil.copytree(run.root, copied.root)
    for path in copied.path("tagged/units").iterdir():
        path.unlink()
    shutil.rmtree(copied.path("models"))
    tag_corpus(dataclasses.replace(config, run=str(copied.root)), copied)
    assert files_of(copied.path("tagged")) == files_of(run.path("tagged"))


def test_the_same_run_folder_takes_no_llm_later(without_llm, run, config):
    own_config, own_run = without_llm
    with_index = dataclasses.replace(own_config, index=IndexConfig(encoder="ngrams"))
    with_llm = with_settings(with_index, "llm", model="scratch")
    for check in (check_and_describe_pipeline, check_and_describe_tagging):
        with pytest.raises(ConfigError, match=r"^llm\.model: expected none, because the run was made without an LLM"):
            check(with_llm, own_run)
        with pytest.raises(ConfigError, match=r"^llm\.model: expected that of the run, because .* with an LLM"):
            check(with_settings(config, "llm", model="none"), run)


def test_the_dry_run_says_that_there_is_none_and_asks_for_no_worker(without_llm):
    config, run = without_llm
    many = with_settings(config, "llm", workers=dataclasses.replace(config.llm.workers, count=1000))
    lines = check_and_describe_pipeline(many, run)
    assert "LLM: none (llm.model=none)" in lines
    assert "no LLM is asked: the run has none (llm.model=none)" in check_and_describe_tagging(config, run)


@pytest.mark.parametrize("check", [check_and_describe_llm_training, check_and_describe_benchmark])
def test_jobs_about_an_llm_are_refused(without_llm, check):
    config, run = without_llm
    with pytest.raises(ConfigError, match=r"^llm\.model: expected an LLM, because .*, found 'none'$"):
        check(config, run)


def test_no_code_of_an_llm_is_imported():
    modules = "rayner.steps.pipeline, rayner.steps.preflight, rayner.steps.loading, rayner.taggers.crf"
    foreign = ("rayner.llm", "rayner.decoding", "peft", "deepspeed")
    code = f"import sys, {modules}; print([name for name in sys.modules if name.startswith({foreign})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
