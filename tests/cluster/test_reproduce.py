"""The published experiment over small sets: every cell done, what can be shared is made once, done cells stay."""

import dataclasses
import json

import pytest

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import CrfConfig, IndexConfig
from rayner.config.settings import ReproduceConfig
from rayner.errors import ConfigError
from rayner.runs.json_files import read_json
from rayner.runs.run_folder import Run
from rayner.steps import reproduce as job
from tests.cluster.small import ONE, stamps, with_settings, write_llm

pytestmark = pytest.mark.slow
SETTINGS = ["few shot", "SFT + few shot", "SFT + few shot (free)"]


@pytest.fixture(scope="module")
def reproduced(config, local_ray, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    made = dataclasses.replace(
        config, run=str(folder / "run"), train=[], corpus=CorpusConfig(), datasets={"A": config.train[0]},
        reproduce=ReproduceConfig(llm_setups=SETTINGS), index=IndexConfig(encoder="ngrams", k=1),
    )  # fmt: skip
    made = with_settings(made, "slm", family="crf", crf=CrfConfig(max_iterations=30))
    brief = {"epochs": 1, "max_steps_per_epoch": 2, "workers": ONE}
    made = with_settings(made, "llm", **write_llm(folder / "llm") | brief, loss_over="all", softmax_over="all")
    made = with_settings(
        made, "fusion", entropy_reduction=["mean"], llm_reduction=["product"], llm_confidence=["slots"]
    )
    run = Run(folder / "run")
    job.check_and_describe_reproduction(made, run)
    return made, run, job.reproduce(made, run)


def test_every_cell_is_evaluated_and_stands_in_the_tables(reproduced):
    _, run, found = reproduced
    assert {row["setting"] for row in found["rows"]} == set(SETTINGS)
    assert read_json(run.path("reproduction.json")) == json.loads(json.dumps(found))
    assert run.path("reproduction.csv").read_text().count("\n") == len(found["rows"]) + 1
    assert found["seed_means"] == []
    assert "| oracle over regions |" in run.path("reproduction.md").read_text()


def test_the_small_model_is_trained_once_a_set(reproduced):
    config, run, found = reproduced
    first, second, _ = (Run(run.path(*cell.folder_parts)) for cell in job.list_cells(config))
    for step in job.SHARED_STEPS:
        assert first.digest_step_manifest(step) == second.digest_step_manifest(step)
    assert first.step_result("train_slm")["digest"] == second.step_result("train_slm")["digest"]
    alike = [[r["micro_f1"] for r in found["rows"] if r["system"] == "SLM" and r["setting"] == s] for s in SETTINGS]
    assert alike[0] == alike[1] == alike[2]


def test_an_llm_that_is_asked_untrained_stays_as_it_came(reproduced):
    config, run, _ = reproduced
    untrained, trained, _ = (Run(run.path(*cell.folder_parts)) for cell in job.list_cells(config))
    assert json.loads(untrained.path("models", "llm", "llm.json").read_text())["adapter"] is None
    assert json.loads(trained.path("models", "llm", "llm.json").read_text())["adapter"] == "adapter"


def test_free_answers_come_from_the_llm_that_was_trained_once_and_are_counted(reproduced):
    config, run, found = reproduced
    _, trained, free = (Run(run.path(*cell.folder_parts)) for cell in job.list_cells(config))
    assert free.root.name == "sft-few-shot-free"
    assert free.digest_step_manifest("train_llm") == trained.digest_step_manifest("train_llm")
    assert not [*free.path("train").glob("llm-*")]
    (counted,) = found["free_answers"]
    assert counted["setting"] == "SFT + few shot (free)"
    assert counted["faults"] == free.step_result("score")["test"]["free_answers"]
    assert counted["faults"]["answers"] == free.step_result("score")["test"]["sentences"]
    assert "Free answers of the LLM" in run.path("reproduction.md").read_text()


@pytest.mark.parametrize("steps", [["train_llm"], ["cross_fit_slm", "train_llm"]])
def test_an_llm_is_shared_with_the_folds_that_it_learned_from_if_there_are_any(tmp_path, steps):
    source, target = Run(tmp_path / "source"), Run(tmp_path / "target")
    for step in steps:
        path = source.path(*job.SHARED_LLM_STEPS[step], "file")
        path.parent.mkdir(parents=True)
        path.write_text(step)
        source.run_step(step, {}, dict)
    job._copy_shared_steps(job.SHARED_LLM_STEPS, source, target)
    for step, parts in job.SHARED_LLM_STEPS.items():
        assert target.has_step(step) == (step in steps) == target.path(*parts).exists()
        if step in steps:  # the digest is an input of later steps
            assert target.digest_step_manifest(step) == source.digest_step_manifest(step)
            assert target.path(*parts, "file").read_text() == step


def test_given_again_nothing_is_done_over(reproduced):
    config, run, found = reproduced
    parts = [
        f"{'/'.join(cell.folder_parts)}/{name}"
        for cell in job.list_cells(config)
        for name in ("models", "scores", "steps")
    ]
    before = stamps(run.root, *parts)
    assert job.reproduce(config, run) == found
    assert stamps(run.root, *parts) == before


def test_the_papers_settings_are_what_it_calls_them(config):
    llm = dataclasses.replace(config.llm, model="some/model", epochs=3)
    found = {name: job.adapt_llm_settings(llm, name) for name in ReproduceConfig().llm_setups}
    assert {name: (own.examples, own.epochs) for name, own in found.items()} == {
        "few shot": ("fixed", 0), "similarity prompt": ("similar", 0),
        "SFT + few shot": ("fixed", 3), "SFT + similarity prompt": ("similar", 3),
    }  # fmt: skip
    assert {own.decoding for own in found.values()} == {"automaton"}
    free = {name: job.adapt_llm_settings(llm, f"{name} (free)") for name in found}
    assert free == {name: dataclasses.replace(own, decoding="free") for name, own in found.items()}


def test_an_llm_from_scratch_is_not_asked_untrained(config):
    with pytest.raises(ConfigError, match="expected a pretrained LLM for 'few shot'"):
        job.adapt_llm_settings(dataclasses.replace(config.llm, model="scratch"), "few shot")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"softmax_over": "allowed"}, "llm.softmax_over: expected all with llm.decoding=free"),
        ({"softmax_over": "all", "loss_over": "allowed"}, "llm.loss_over: expected all with llm.decoding=free"),
    ],
)
def test_free_answers_need_the_settings_that_they_need(config, tmp_path, changes, message):
    made = dataclasses.replace(
        with_settings(config, "llm", model="some/model", epochs=1, **changes), datasets={"A": config.train[0]},
        reproduce=ReproduceConfig(llm_setups=["SFT + few shot (free)"]),
    )  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        job.check_and_describe_reproduction(made, Run(tmp_path))


def test_the_papers_settings_need_an_llm(config):
    without = with_settings(config, "llm", model="none").llm
    assert job.adapt_llm_settings(without, "as configured") == without
    with pytest.raises(ConfigError, match=r"^reproduce\.llm_setups: expected `as configured` with llm\.model=none"):
        job.adapt_llm_settings(without, "SFT + few shot")


def test_without_datasets_there_is_nothing_to_do(config):
    with pytest.raises(ConfigError, match=r"datasets.A=FILE"):
        job.list_cells(config)
