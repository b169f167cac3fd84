"""One local Ray for all tests of this folder that need one; the same examples on every run for those that draw them."""

from pathlib import Path

import pytest
from hypothesis import settings

from rayner.cluster.session import session, start_logging
from rayner.config import Config
from rayner.run import Run
from tests.cluster.small import write_inputs

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
if settings.get_current_profile_name() == "default":
    settings.load_profile("repeatable")


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
