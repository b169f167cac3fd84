"""A short version of the drills, some faults once each with seeds of their own: `pytest -m drill`, a few minutes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.small import copied

pytestmark = [pytest.mark.slow, pytest.mark.drill]
ROOT = Path(__file__).parents[2]


def test_disturbed_jobs_end_with_the_undisturbed_output(run, tmp_path):
    mine = copied(run, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json")
    asked = ["--each", "1", "--kinds", "actor,driver,store", "--seed", "100", "--trained", str(mine.root)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.drills", *asked], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count(" 1 of 1 same; ") == 3
