"""What each step depends on: its settings, the steps before it, and the content of the files that it reads."""

import dataclasses
import shutil

import pytest

from rayner.config.loading import load_config
from rayner.config.step_settings import step_settings
from rayner.llm import prompts
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.runs.storage import storage_path
from rayner.steps import build_index, data, score, tune_fusion
from rayner.steps.fusion_rules import write_tuned_fusion
from rayner.steps.tag import tag_corpus
from rayner.steps.training import cross_fit, cross_fit_slm, train_llm, train_slm
from tests.docs.conftest import tuned_fusion

STEPS = {
    "train_slm": train_slm, "cross_fit_slm": cross_fit_slm, "build_index": build_index, "train_llm": train_llm,
    "score": score, "cross_fit": cross_fit, "tune_fusion": tune_fusion, "tag_corpus": tag_corpus,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with texts and a run whose steps are all done."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labelled.txt").write_text("懷\tB-NR\n王\tE-NR\n", encoding="utf-8")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("楚使怒去。", encoding="utf-8")
    for name in ("data", *STEPS):
        write_step(tmp_path, name, 1)
    write_tuned_fusion(Run(tmp_path / "run"), tuned_fusion())
    return tmp_path


def write_step(folder, name, value):
    write_json(folder / "run" / "steps" / f"{name}.json", StepManifest({}, {"digest": str(value)}).to_json())


def inputs(*overrides):
    config, run = load_config(None, ["train=labelled.txt", *overrides]), Run(storage_path("run"))
    return {
        "data": data.collect_manifest_inputs(config),
        **{name: step.collect_manifest_inputs(config, run) for name, step in STEPS.items()},
    }


def differing(before, after):
    return {name for name, value in before.items() if value != after[name]}


CRF = ["slm.family=crf", "index.encoder=ngrams", "slm.crf.unlabelled=texts"]


@pytest.mark.parametrize(
    ("step", "overrides", "dependent"),
    [
        ("data", [], {"train_slm", "build_index", "train_llm", "score"}),
        ("train_slm", [], {"cross_fit_slm", "build_index", "score"}),
        ("train_slm", ["index.encoder=ngrams"], {"cross_fit_slm", "score"}),
        ("cross_fit_slm", [], set()),
        ("cross_fit_slm", ["llm.hint=tags"], {"train_llm"}),
        ("cross_fit_slm", ["llm.hint=tags", "llm.epochs=0"], set()),
        ("build_index", [], {"train_llm", "score"}),
        ("build_index", ["llm.examples=fixed"], set()),
        ("build_index", ["llm.examples=none"], set()),
        ("build_index", ["llm.epochs=0"], {"score"}),
        ("train_llm", [], {"score"}),
        ("score", [], {"cross_fit", "tune_fusion", "tag_corpus"}),
        ("cross_fit", [], set()),
        ("cross_fit", ["split.folds=3"], {"tune_fusion"}),
    ],
)
def test_a_step_depends_on_the_outcome_of_the_steps_that_it_reads(folder, step, overrides, dependent):
    before = inputs(*overrides)
    write_step(folder, step, 2)
    assert differing(before, inputs(*overrides)) == dependent


def test_an_llm_depends_on_the_version_of_the_prompts(folder, monkeypatch):
    before = inputs()
    monkeypatch.setattr(train_llm, "LLM_FORMAT_VERSION", 0)
    assert differing(before, inputs()) == {"train_llm"}


@pytest.mark.parametrize(
    ("overrides", "dependent"),
    [
        (["llm.examples=fixed"], {"train_llm", "score"}),
        (["llm.examples=fixed", "llm.epochs=0"], {"score"}),  # an LLM that is not trained saw no examples
        (["llm.examples=similar"], set()),
        (["llm.examples=none"], set()),
    ],
)
def test_a_change_of_the_fixed_examples_changes_only_what_shows_them(folder, monkeypatch, overrides, dependent):
    before = inputs(*overrides)
    for module in (train_llm, prompts):
        monkeypatch.setattr(module, "FIXED_EXAMPLES_VERSION", 1)
    assert differing(before, inputs(*overrides)) == dependent


@pytest.mark.parametrize(
    ("overrides", "dependent"),
    [
        (["llm.hint=none"], set()),
        (["llm.hint=tags"], {"train_llm", "score"}),
        (["llm.hint=confidence"], {"train_llm", "score"}),
    ],
)
def test_a_change_of_how_hints_are_written_changes_only_what_shows_them(folder, monkeypatch, overrides, dependent):
    before = inputs(*overrides)
    for step in (train_llm, score):
        monkeypatch.setattr(step, "HINT_VERSION", 0)
    assert differing(before, inputs(*overrides)) == dependent


def test_what_the_models_said_belongs_to_the_hint(folder):
    """Kept predictions of a corpus are reused only by a job with the same inputs."""
    config, run = load_config(None, ["train=labelled.txt"]), Run(storage_path("run"))
    hinted = [load_config(None, ["train=labelled.txt", f"llm.hint={hint}"]) for hint in ("none", "tags", "confidence")]
    found = [tag_corpus.collect_score_inputs(each, run) for each in hinted]
    assert found[0] == tag_corpus.collect_score_inputs(config, run) != found[1] != found[2] != found[0]


def test_an_llm_that_learned_from_similar_examples_needs_no_new_training(folder):
    """Its inputs are settings, digests and the version of prompts, as rayner recorded them before."""
    names = set(inputs()["train_llm"]) - set(step_settings(load_config(None), "train_llm"))
    assert names == {"llm_format", "model", "data", "build_index"}
    assert inputs()["train_llm"]["llm_format"] == 2


def test_scores_depend_on_how_probabilities_are_read_from_an_answer_and_models_do_not(folder, monkeypatch):
    before = inputs()
    monkeypatch.setattr(score, "LLM_ANSWER_VERSION", 1)
    assert differing(before, inputs()) == {"score"}


@pytest.mark.parametrize(
    ("overrides", "dependent"), [([], set()), (CRF, {"train_slm"})]
)  # fmt: skip
def test_a_step_depends_on_the_content_of_unlabelled_text_and_not_on_its_place(folder, overrides, dependent):
    before = inputs(*overrides)
    shutil.copytree(folder / "texts", folder / "moved")
    assert differing(before, inputs(*[each.replace("=texts", "=moved") for each in overrides])) == set()
    (folder / "texts" / "a.txt").write_text("楚使怒。", encoding="utf-8")
    assert differing(before, inputs(*overrides)) == dependent


def test_the_data_depend_on_the_content_of_the_labelled_files_and_on_the_fold(folder):
    before = inputs()
    config = load_config(None, ["train=labelled.txt", "split.folds=3"])
    assert len({str(data.collect_manifest_inputs(config, fold)) for fold in (None, 0, 1, 2)}) == 4
    assert data.collect_manifest_inputs(config) == before["data"]
    (folder / "labelled.txt").write_text("懷\tO\n王\tO\n", encoding="utf-8")
    assert differing(before, inputs()) == {"data"}


def test_the_tagged_corpus_depends_on_the_rule(folder):
    before = inputs()
    fusion = tuned_fusion()
    other = "spans" if fusion.chosen == "regions" else "regions"
    write_tuned_fusion(Run(folder / "run"), dataclasses.replace(fusion, chosen=other))
    assert differing(before, inputs()) == {"tag_corpus"}
