"""Before a job starts, what is wrong is said in one line that names the key, the file or the step."""

import dataclasses
import re
from types import SimpleNamespace

import pytest
import torch

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import WorkersConfig
from rayner.config.settings import Config, ScoreConfig
from rayner.errors import ConfigError, DataError
from rayner.fusion.region_rule import RegionRule
from rayner.llm.description import LlmDescription, write_llm_description
from rayner.modeling.gpus import Gpu
from rayner.runs.json_files import read_json, write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps import preflight, resources
from rayner.steps.data import read_and_split_labelled_files
from rayner.steps.forecast import room
from rayner.steps.forecast.pace import count_chars_by_step, find_pace, make_pace, pace_file, record_pace
from rayner.steps.forecast.remaining_steps import list_run_steps
from rayner.steps.fusion_rules import write_tuned_fusion
from tests.cluster.small import with_settings, write_llm
from tests.report.records import make_fusion

LABELLED = "\n".join(f"懷\tB-NR\n{char}\tE-NR\n\n曰\tO\n。\tO\n" for char in "甲乙丙丁戊己庚辛壬癸")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@pytest.fixture
def good(tmp_path, monkeypatch):
    """A configuration with nothing wrong, on a machine of two CPUs."""
    (tmp_path / "train.txt").write_text(LABELLED, encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("楚王曰。" * 10, encoding="utf-8")
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(resources.ray, "is_initialized", lambda: False)  # other tests' Ray may stand
    return Config(
        train=[str(tmp_path / "train.txt")],
        corpus=CorpusConfig(str(tmp_path / "corpus")),
        score=ScoreConfig(unit_chars=8),
    )


def workers(config, name, **values):
    model = dataclasses.replace(getattr(config, name), workers=WorkersConfig(**values))
    return dataclasses.replace(config, **{name: model})


def test_inputs_are_told_with_their_sizes_and_oddities(good, run):
    lines = preflight.check_and_describe_pipeline(good, run)
    assert f"{good.train[0]}: 40 characters, 10 entities; irregularities: 19 blank_lines" in lines
    assert "labelled sentences: train 8, dev 1, test 1" in lines
    assert f"{good.corpus.path}: 1 documents, 40 characters, 5 units" in lines
    assert "this machine: 2 CPUs, 0 GPUs" in lines
    assert not run.root.exists()


def test_a_file_of_the_corpus_that_is_left_out_is_told(good, run, tmp_path):
    (tmp_path / "corpus" / "b.txt").write_bytes(b"\xff")
    assert any(
        line.startswith(f"left out: {tmp_path / 'corpus' / 'b.txt'}:1: ")
        for line in preflight.check_and_describe_corpus(good)
    )


def test_an_engine_that_is_not_installed_is_named(good, run, monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"llm.engine: expected vllm"):
        preflight.check_and_describe_training(with_settings(good, "llm", engine="vllm"), run)


def test_without_a_corpus_there_is_nothing_to_tag(good, run):
    none = dataclasses.replace(good, corpus=CorpusConfig())
    assert "corpus: none, nothing to tag" in preflight.check_and_describe_pipeline(none, run)
    with pytest.raises(ConfigError, match=r"^corpus: "):
        preflight.check_and_describe_corpus(none)


def test_without_labelled_files_training_is_refused(good, run):
    with pytest.raises(ConfigError, match=r"^train: "):
        preflight.check_and_describe_training(dataclasses.replace(good, train=[]), run)


def test_a_wrong_labelled_file_is_refused_naming_it(good, run, tmp_path):
    with pytest.raises(DataError, match=r"none\.txt"):
        preflight.check_and_describe_training(dataclasses.replace(good, train=[str(tmp_path / "none.txt")]), run)


@pytest.mark.parametrize("name", ["slm", "llm", "index"])
def test_a_model_that_is_no_checkpoint_is_refused_in_one_line_naming_the_key(good, run, tmp_path, name):
    (tmp_path / "empty").mkdir()
    field = "encoder" if name == "index" else "model"
    section = dataclasses.replace(getattr(good, name), **{field: str(tmp_path / "empty")})
    with pytest.raises(ConfigError) as caught:
        preflight.check_and_describe_training(dataclasses.replace(good, **{name: section}), run)
    message = str(caught.value)
    assert message.startswith(f"{name}.{field}: expected the folder of a checkpoint, found '{tmp_path / 'empty'}'")
    assert "\n" not in message


@pytest.mark.parametrize("name", ["slm", "llm"])
def test_more_workers_than_the_machine_has_cpus_are_refused(good, name):
    resources.check_and_describe_resources(workers(good, name, count=2))
    with pytest.raises(
        ConfigError, match=rf"^{name}\.workers: expected at most the 2 CPUs of this machine, found settings for 3; "
    ):
        resources.check_and_describe_resources(workers(good, name, count=3))
    with pytest.raises(ConfigError, match="found settings for 4; lower"):
        resources.check_and_describe_resources(workers(good, name, count=2, cpus=2))


def test_all_actors_of_scoring_must_fit(good):
    for actors, fits in ((1, True), (2, False)):
        pools = ScoreConfig(actors=actors, cpus=1.5)
        config = dataclasses.replace(good, score=pools)
        if fits:
            assert resources.check_and_describe_resources(config)
        else:
            with pytest.raises(
                ConfigError, match=r"^score: expected at most the 2 CPUs of this machine, found settings for 3; "
            ):
                resources.check_and_describe_resources(config)


def test_in_a_cluster_its_cpus_and_gpus_count(good, monkeypatch):
    monkeypatch.setattr(resources.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 64.0, "GPU": 4.0})
    lines = resources.check_and_describe_resources(workers(good, "llm", count=4, cpus=8, gpus=1.0))
    assert lines[0] == "the cluster: 64 CPUs, 4 GPUs"
    with pytest.raises(
        ConfigError, match=r"^llm\.workers: expected at most the 4 GPUs of the cluster, found settings for 5; "
    ):
        resources.check_and_describe_resources(workers(good, "llm", count=5, gpus=1.0))


@pytest.mark.parametrize(
    ("check", "step"),
    [(preflight.check_scores_and_describe_run, "score"), (preflight.check_and_describe_tagging, "tune_fusion")],
)
def test_a_step_whose_forerunner_is_not_done_is_refused_naming_it(good, run, check, step):
    with pytest.raises(ConfigError, match=f"the step {step} is not done"):
        check(good, run)
    for name in ("train_llm", "score", step):
        write_json(run.path("steps", f"{name}.json"), StepManifest({}, {}).to_json())
    write_tuned_fusion(run, make_fusion(RegionRule(0.2)))
    lines = check(good, run)
    assert f"run folder: {run.root}" in lines
    assert lines[-1].startswith("ready")


def test_a_tagged_folder_of_other_models_is_refused_for_tagging_and_left_alone_by_the_benchmark(good, run):
    for name in ("train_llm", "score", "tune_fusion"):
        write_json(run.path("steps", f"{name}.json"), StepManifest({}, {}).to_json())
    write_tuned_fusion(run, make_fusion(RegionRule(0.2)))
    write_json(run.path("tagged", "steps", "plan.json"), StepManifest({"score": "other"}, {}).to_json())
    with pytest.raises(ConfigError, match=rf"^{run.path('tagged')}: plan was made from other inputs "):
        preflight.check_and_describe_tagging(good, run)
    assert preflight.check_and_describe_benchmark(good, run)[-1] == "ready"


def test_an_llm_that_was_trained_with_another_hint_is_refused_naming_both(good, run):
    write_json(run.path("steps", "tune_fusion.json"), StepManifest({}, {}).to_json())
    write_tuned_fusion(run, make_fusion(RegionRule(0.2)))
    write_llm_description(run.path("models", "llm"), LlmDescription("base", None, "", ("NR",), "tags"))
    checks = (preflight.check_and_describe_training, preflight.check_and_describe_tagging)
    for check in checks:  # the folder was written by a training that did not end
        check(good, run)
    write_json(run.path("steps", "train_llm.json"), StepManifest({}, {}).to_json())
    for check in checks:
        check(with_settings(good, "llm", hint="tags"), run)
        for other in ("none", "confidence"):
            with pytest.raises(ConfigError) as caught:
                check(with_settings(good, "llm", hint=other), run)
            folder = run.path("models", "llm")
            assert str(caught.value) == (
                f"llm.hint: expected tags, the hint with which the LLM in {folder} was trained, found {other}: "
                "set llm.hint=tags, or train an LLM in another run folder"
            )


# ---- the device


GPUS = {"slm": 1.0, "llm": 1.0, "score": 1.0}


def with_gpus(config, device, **gpus):
    """The configuration with a device, and with GPUs for each stage."""
    config = dataclasses.replace(config, device=device, score=dataclasses.replace(config.score, gpus=gpus["score"]))
    for name in ("slm", "llm"):
        config = workers(config, name, gpus=gpus[name])
    return config


def test_cuda_without_a_gpu_is_refused_before_the_job_starts(good, run):
    with pytest.raises(ConfigError, match=r"^device: expected a GPU of this machine for device=cuda, found none \("):
        preflight.check_and_describe_training(with_gpus(good, "cuda", **GPUS), run)


@pytest.mark.parametrize("name", ["slm", "llm", "score"])
def test_with_cuda_every_stage_that_runs_a_model_must_ask_for_a_gpu(good, monkeypatch, name):
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    assert resources.check_and_describe_resources(with_gpus(good, "cuda", **GPUS)) == ["this machine: 2 CPUs, 1 GPUs"]
    key = "score.gpus" if name == "score" else f"{name}.workers.gpus"
    with pytest.raises(ConfigError, match=rf"^{key}: expected more than 0 for device=cuda, found 0; "):
        resources.check_and_describe_resources(with_gpus(good, "cuda", **{**GPUS, name: 0.0}))


def test_a_model_that_is_not_trained_and_a_crf_need_no_gpu_for_training(good, monkeypatch):
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    config = with_settings(with_gpus(good, "cuda", slm=0.0, llm=0.0, score=1.0), "slm", family="crf")
    resources.check_and_describe_resources(with_settings(config, "llm", full_epochs=0, epochs=0))


def test_gpus_that_the_device_leaves_unused_are_warned_of(good, monkeypatch):
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    none = dict.fromkeys(GPUS, 0.0)
    (_, warning) = resources.check_and_describe_resources(with_gpus(good, "cpu", **{**none, "score": 1.0}))
    assert warning.startswith("WARNING: score.gpus=1 takes GPUs, which device=cpu leaves unused")
    (_, warning) = resources.check_and_describe_resources(with_gpus(good, "auto", **none))
    assert warning.startswith("WARNING: score.gpus, slm.workers.gpus, llm.workers.gpus: 0, so these processes run on ")
    assert len(resources.check_and_describe_resources(with_gpus(good, "auto", **GPUS))) == 1


def test_the_gpus_of_this_machine_are_those_that_torch_sees(monkeypatch):
    monkeypatch.setattr(resources.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resources._cluster_or_local_resources()["GPU"] == 2


def test_four_bits_without_their_package_are_refused(good, run, monkeypatch):
    monkeypatch.setattr(preflight.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^llm.load_in: expected, for nf4, bitsandbytes .*rayner\[nf4\]"):
        preflight.check_and_describe_training(with_settings(good, "llm", load_in="nf4"), run)


# ---- GPU memory


@pytest.fixture
def on_a_gpu(good, tmp_path, monkeypatch):
    """A configuration that predicts with a pretrained LLM on the only GPU of this machine."""
    monkeypatch.setattr(resources, "_cluster_or_local_resources", lambda: {"CPU": 2.0, "GPU": 1.0})
    config = with_settings(with_gpus(good, "cuda", slm=0.0, llm=0.0, score=1.0), "slm", family="crf")
    return with_settings(with_settings(config, "llm", **write_llm(tmp_path / "llm")), "index", encoder="ngrams")


def test_a_model_that_does_not_fit_the_gpu_is_refused_with_the_arithmetic(on_a_gpu, run, monkeypatch):
    monkeypatch.setattr(resources, "list_gpus_or_error", lambda: ([Gpu("A6000", 48 * 2**30), Gpu("old", 2**30)], ""))
    budget = dataclasses.replace(on_a_gpu.score.llm, batch_tokens=2**23)
    wide = with_settings(on_a_gpu, "score", llm=budget)
    with pytest.raises(ConfigError) as caught:
        preflight.check_and_describe_training(wide, run)
    found = str(caught.value)
    assert found.startswith("score: expected at most the 1.0 GiB of a GPU (old) for a process, found an estimate of ")
    for part in ("(LLM ", " + cache of 8,388,608 tokens 4.0 GiB", " + activations ", " + CUDA 512.0 MiB)"):
        assert part in found
    assert "lower score.llm.batch_tokens" in found
    lines = preflight.check_and_describe_training(on_a_gpu, run)
    assert any(line.startswith("score: about ") and line.endswith("of the 1.0 GiB of a GPU (old)") for line in lines)


def test_where_the_memory_of_gpus_is_not_known_the_need_is_told(on_a_gpu, run, monkeypatch):
    monkeypatch.setattr(resources, "list_gpus_or_error", lambda: ([], "no torch"))
    lines = preflight.check_and_describe_training(on_a_gpu, run)
    assert any(line.startswith("score: needs about ") and line.endswith("is not known") for line in lines)


def test_without_gpus_their_memory_is_not_asked_for(good, run, monkeypatch):
    monkeypatch.setattr(resources, "list_gpus_or_error", lambda: pytest.fail("not needed"))
    preflight.check_and_describe_training(good, run)


# ---- labelled text, the run folder, and how long it will take


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ("曰\tO\n。\tO\n\n云\tO\n。\tO\n\n言\tO\n。\tO\n", "expected labelled entities, found none"),
        ("懷\tB-NR\n王\tE-NR\n", "expected enough sentences for a train and a dev part, found 1; "),
    ],
)
def test_labels_without_entities_and_too_few_sentences_are_refused(good, run, tmp_path, labelled, said):
    (tmp_path / "train.txt").write_text(labelled, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(f"{good.train[0]}: {said}")):
        preflight.check_and_describe_pipeline(good, run)


def test_all_faults_are_told_at_once(good, run, tmp_path):
    bad = with_gpus(good, "cuda", **GPUS)
    bad = dataclasses.replace(bad, train=["none", "neither"], corpus=CorpusConfig(str(tmp_path / "nothing")))
    with pytest.raises(ConfigError) as caught:
        preflight.check_and_describe_pipeline(bad, run)
    first, *faults = str(caught.value).split("\n")
    assert first == "4 faults:"
    assert [fault.split()[0].rstrip(":,") for fault in faults] == [
        "none",
        "neither",
        "device",
        str(tmp_path / "nothing"),
    ]
    assert caught.value.exit_code == 2


def test_a_changed_seed_or_input_is_refused_naming_it_and_a_step_that_is_done_is_told(good, run, tmp_path):
    read_and_split_labelled_files(good, run)
    lines = preflight.check_and_describe_pipeline(good, run)
    assert "steps: data done; train_slm, build_index, train_llm, score, tune_fusion to do" in lines
    for check in (preflight.check_and_describe_pipeline, preflight.check_and_describe_training):
        with pytest.raises(ConfigError, match=r"data was made from other inputs \(seed was 13, is 14\)"):
            check(dataclasses.replace(good, seed=14), run)
    (tmp_path / "train.txt").write_text(LABELLED * 2, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"data was made from other inputs \(files\..*train\.txt was "):
        preflight.check_and_describe_pipeline(good, run)


def test_the_last_line_says_how_long_the_job_takes_if_an_earlier_run_tells(good, run):
    *_, last = preflight.check_and_describe_pipeline(good, run)
    assert last == "ready: time unknown, no earlier run on this machine with these settings"
    steps = [*list_run_steps(good), "tag_corpus"]
    n_chars = count_chars_by_step({"train": 64, "dev": 8, "test": 8}, 80, steps)
    assert n_chars == {
        "data": 64, "train_slm": 64, "build_index": 64, "train_llm": 64, "score": 16, "tune_fusion": 8, "tag_corpus": 80
    }  # fmt: skip
    record_pace(make_pace(good, dict.fromkeys(steps, 120.0), n_chars, 120.0 * len(steps) + 60))
    other_texts = dataclasses.replace(good, seed=14, out=str(run.root / "elsewhere"))
    for config in (good, other_texts):  # half of the texts, and a minute that does not depend on them
        *_, last = preflight.check_and_describe_pipeline(config, run)
        assert last == "ready: about 8 minutes"
    *_, last = preflight.check_and_describe_pipeline(with_settings(good, "slm", epochs=99), run)
    assert last.startswith("ready: time unknown")
    read_and_split_labelled_files(good, run)
    *_, last = preflight.check_and_describe_pipeline(good, run)
    assert last == "ready: about 7 minutes"


def test_a_pace_without_a_step_tells_nothing_of_it_and_a_damaged_file_nothing_at_all(good):
    record_pace(make_pace(good, {"data": 1.0}, {"data": 10}, 3.0))
    pace = find_pace(good)
    assert pace.estimate_seconds({"data": 20}) == 4.0
    assert pace.estimate_seconds({}) == 2.0
    assert pace.estimate_seconds({"data": 20, "tag_corpus": 10}) is None
    for content in ("{", "[]", '{"format_version": 2, "paces": []}', '{"format_version": 1, "paces": [{}]}'):
        pace_file().write_text(content)
        assert find_pace(good) is None
    for seed in range(60):
        record_pace(make_pace(with_settings(good, "slm", epochs=seed + 1), {"data": 1.0}, {"data": 10}, 3.0))
    assert len(read_json(pace_file())["paces"]) == 50
    pace_file().unlink()
    pace_file().mkdir()
    record_pace(pace)  # nobody can write there: a job must not fail because of it
    assert find_pace(good) is None


def test_too_little_memory_or_disk_space_is_warned_of(good, run, monkeypatch):
    assert not any(line.startswith("WARNING") for line in preflight.check_and_describe_pipeline(good, run))
    monkeypatch.setattr(room.psutil, "virtual_memory", lambda: SimpleNamespace(total=2**20))
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    warnings = [line for line in preflight.check_and_describe_pipeline(good, run) if line.startswith("WARNING")]
    assert [line.split(":")[1].strip() for line in warnings] == ["slm.workers", "llm.workers", "score", "run"]
    assert "need about 512.0 MiB of memory, and this machine has 1.0 MiB: " in warnings[0]
    assert f"and 1.0 MiB are free in {run.root.parent}: " in warnings[-1]
