"""One local Ray for all tests of this folder that need one, and runs that they share."""

import dataclasses
import pickle
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import ray
from filelock import FileLock

from rayner.cluster.session import ray_session
from rayner.config.model_settings import CrfConfig, IndexConfig
from rayner.config.settings import Config
from rayner.runs.job_log import start_logging
from rayner.runs.run_folder import Run
from tests.checkpoints import (  # noqa: F401 - pytest finds fixtures by their names here
    decoder_folder,
    encoder_folder,
    labels,
    random_llm,
    sentences,
    types,
)
from tests.cluster.driver import no_device_in_this_process
from tests.cluster.nodes import bare_python
from tests.cluster.small import ROOT, with_settings, write_inputs, write_llm

# Longest first, so that the processes of `make test` end at about the same time. Each takes the next file when it is
# through with one. test_pipeline makes the fixture `run`; the two after it do without, so they need not wait.
LONGEST = (
    "test_pipeline", "test_hints", "test_reproduce", "test_fusing_again", "test_deepspeed", "test_faults",
    "test_pretraining", "test_not_finite", "test_train_crf", "test_training_faults", "test_submission", "test_recovery",
    "test_extending", "test_free_answers", "test_without_llm", "test_corrections", "test_training", "test_seams",
    "test_out_of_memory",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Sort the tests of this folder by their files; all others stay where they are, behind these."""
    order = {f"{Path(__file__).parent}/{name}.py": i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))


@pytest.fixture(scope="session")
def local_ray():
    """Ray as the jobs start it, once: `session` inside `session` uses the one that stands.

    It has no dashboard, whose processes need CPU time all the while.
    """
    start_logging()
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray, "init", partial(ray.init, include_dashboard=False))
            stack.enter_context(ray_session())
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """What a function makes in a folder of a name; where several processes share the tests, one makes it for all."""
    own = tmp_path_factory.getbasetemp()

    def made(name, make):
        folder = (own if worker_id == "master" else own.parent) / name
        with FileLock(f"{folder}.lock"):
            done = folder / "made.pickle"
            if not done.exists():
                folder.mkdir(exist_ok=True)
                done.write_bytes(pickle.dumps(make(folder)))
            return pickle.loads(done.read_bytes())

    return made


@pytest.fixture(scope="session")
def config(once) -> Config:
    """The configuration of a small run over dirty inputs."""
    return once("inputs", write_inputs)


@pytest.fixture(scope="session")
def run(config, once, local_ray) -> Run:
    """What the main job makes of it; tests that change anything take a copy."""
    from rayner.steps.pipeline import run_pipeline

    def make(_):
        made = Run(Path(config.run))
        with no_device_in_this_process():
            run_pipeline(config, made)
        return made

    return once("run", make)


@pytest.fixture(scope="session")
def with_crf(config, once, local_ray) -> tuple[Config, Run]:
    """A run whose small model is a CRF, with clusters, tuned by cross-fitting; its LLM has learned nothing.

    The LLM scores the candidates.
    """
    from rayner.steps.pipeline import run_pipeline

    def make(folder):
        made = dataclasses.replace(config, run=str(folder / "run"), index=IndexConfig(encoder="ngrams", k=1))
        crf = CrfConfig(max_iterations=30, unlabelled=config.corpus.path, clusters=[4, 16])
        made = with_settings(made, "slm", family="crf", crf=crf)
        made = with_settings(made, "llm", **write_llm(folder / "llm"))
        made = with_settings(made, "fusion", entropy_reduction=["mean"], llm_confidence=["slots"])
        made = with_settings(made, "split", folds=2)
        made = with_settings(made, "score", llm=dataclasses.replace(made.score.llm, candidates=True))
        with no_device_in_this_process():
            run_pipeline(made, Run(folder / "run"))
        return made, Run(folder / "run")

    return once("crf", make)


@pytest.fixture(scope="session")
def without_llm(config, once, local_ray) -> tuple[Config, Run]:
    """A run of a CRF alone, with clusters."""
    from rayner.steps.pipeline import run_pipeline

    def make(folder):
        made = dataclasses.replace(config, run=str(folder / "run"), index=IndexConfig())
        crf = CrfConfig(max_iterations=30, unlabelled=config.corpus.path, clusters=[4, 16])
        made = with_settings(made, "slm", family="crf", crf=crf)
        made = with_settings(with_settings(made, "llm", model="none"), "fusion", llm="auto")
        with no_device_in_this_process():
            run_pipeline(made, Run(folder / "run"))
        return made, Run(folder / "run")

    return once("without llm", make)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, str]:
    """The environment, proved to have no rayner."""
    env = bare_python(tmp_path_factory.mktemp("bare"))
    command = ["python", "-c", "import ray, rayner"]
    found = subprocess.run(command, capture_output=True, text=True, env=env, cwd="/", check=False)
    assert "No module named 'rayner'" in found.stderr
    return env


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What `git clone` gives: nothing that was built, no environment."""
    if not (ROOT / ".git").exists():
        pytest.skip("not in a git repository")
    folder = tmp_path_factory.mktemp("clean") / "rayner"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder
