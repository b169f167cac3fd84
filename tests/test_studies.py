"""The studies run, on the bundled sample and at a size too small for real results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def test_the_review_curve_compares_all_ways_at_each_number_of_sentences(tmp_path):
    small = ["--start", "60", "--add", "10", "20", "--starts", "1", "--draws", "1", "--iterations", "10"]
    command = [sys.executable, "studies/review_curve.py", "sample/labelled.txt", str(tmp_path), *small]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    ways = json.loads((tmp_path / "review_curve.json").read_text(encoding="utf-8"))["ways"]
    assert {way: [row["sentences"] for row in rows] for way, rows in ways.items()} == {
        way: [0, 10, 20] for way in ("by value", "by entities alone", "at random", "at random, as many characters")
    }
    assert len({rows[0]["f1"] for rows in ways.values()}) == 1  # all start from the same sentences
    assert all(way in result.stdout for way in ways)
    assert (tmp_path / "review_curve.svg").read_text(encoding="utf-8").startswith("<?xml")
