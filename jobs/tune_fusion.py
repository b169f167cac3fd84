"""Fit the fusion rule on the held-out sentences."""

import sys

from rayner.cli.jobs.definitions import TUNE_FUSION
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(TUNE_FUSION))
