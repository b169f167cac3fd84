"""Measure the speed of a run's models against other software, on its corpus."""

import sys

from rayner.cli.jobs.definitions import BENCH
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(BENCH))
