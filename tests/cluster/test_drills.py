"""A short version of `make drill`: some of its faults once each, with seeds of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_disturbed_jobs_end_with_the_undisturbed_output():
    done = subprocess.run(
        [sys.executable, "-m", "tests.drills", "--each", "1", "--kinds", "actor,driver,raylet,store", "--seed", "100"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count(" 1 of 1 same; ") == 4
