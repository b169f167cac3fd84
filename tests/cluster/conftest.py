"""One local Ray for all tests of this folder that need one."""

import dataclasses
from pathlib import Path

import pytest

from rayner.cluster.session import session, start_logging
from rayner.config import Config, CrfConfig, IndexConfig
from rayner.run import Run
from tests.cluster.small import ONE, with_settings, write_inputs


@pytest.fixture(scope="session")
def local_ray():
    """Ray as the jobs start it, once: `session` inside `session` uses the one that stands."""
    start_logging()
    with session():
        yield


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> Config:
    """The configuration of a small run over dirty inputs."""
    return write_inputs(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="session")
def run(config, local_ray) -> Run:
    """What the main job makes of it; tests that change anything take a copy."""
    from rayner.cluster.pipeline import pipeline

    made = Run(Path(config.run))
    pipeline(config, made)
    return made


@pytest.fixture(scope="session")
def with_crf(config, local_ray, tmp_path_factory) -> tuple[Config, Run]:
    """A run whose small model is a CRF, with clusters, tuned by cross-fitting; its LLM learns a little only."""
    from rayner.cluster.pipeline import pipeline

    folder = tmp_path_factory.mktemp("crf")
    made = dataclasses.replace(config, run=str(folder / "run"), index=IndexConfig(encoder="ngrams", k=1))
    crf = CrfConfig(iterations=30, unlabelled=config.corpus, clusters=["4", "16"])
    made = with_settings(made, "slm", family="crf", crf=crf)
    made = with_settings(made, "llm", full_epochs=1, max_steps=2, epochs=0, examples="none", workers=ONE)
    made = with_settings(made, "fusion", entropy=["mean"], evidence=["decisions"])
    made = with_settings(made, "split", folds=2)
    pipeline(made, Run(folder / "run"))
    return made, Run(folder / "run")
