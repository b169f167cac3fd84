"""Train the small model."""

import sys

from rayner.cli.jobs.definitions import TRAIN_SLM
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(TRAIN_SLM))
