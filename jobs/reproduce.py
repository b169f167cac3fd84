"""Run the published experiment on labelled sets, and print the paper's numbers beside ours."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.reproduce:reproduce",
            check="rayner.steps.reproduce:check_and_describe_reproduction",
        )
    )
