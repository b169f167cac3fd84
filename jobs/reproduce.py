"""Run the published experiment on labelled sets, and print the paper's numbers beside ours."""

import sys

from rayner.cli.jobs.definitions import REPRODUCE
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(REPRODUCE))
