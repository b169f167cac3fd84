"""Fit the fusion rule on the held-out sentences."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.tune_fusion:tune_fusion",
            check="rayner.steps.preflight:check_scores_and_describe_run",
        )
    )
