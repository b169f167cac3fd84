"""Run the published experiment on labelled sets, and print the paper's numbers beside ours."""

import sys

try:
    from rayner.cli.jobs.definitions import REPRODUCE
    from rayner.cli.jobs.running import run_job
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no {error.name}: use .venv/bin/python (`make install`) or `pip install rayner`"
    )

if __name__ == "__main__":
    sys.exit(run_job(REPRODUCE))
