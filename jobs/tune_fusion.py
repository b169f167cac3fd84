"""Fit the fusion rule on the held-out sentences."""

import sys

try:
    from rayner.cli.jobs.definitions import TUNE_FUSION
    from rayner.cli.jobs.running import run_job
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no {error.name}: use .venv/bin/python (`make install`) or `pip install rayner`"
    )

if __name__ == "__main__":
    sys.exit(run_job(TUNE_FUSION))
