"""Measure the speed of a run's models against other software, on its corpus."""

import sys

from rayner.bench.benchmark import run_benchmark
from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_tagging

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", run_benchmark, check=check_tagging))
