"""One local Ray for all tests of this folder that need one; the same examples on every run for those that draw them."""

import pytest
from hypothesis import settings

from rayner.cluster.session import session, start_logging

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
