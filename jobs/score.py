"""Run both models on the held-out sentences."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.score:predict_held_out_sentences",
            check="rayner.steps.preflight:check_and_describe_training",
        )
    )
