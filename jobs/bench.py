"""Measure the speed of a run's models against other software, on its corpus."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.bench.benchmark:run_and_write_benchmark",
            check="rayner.steps.preflight:check_and_describe_benchmark",
        )
    )
