"""Pretrain an encoder on a corpus without labels, as a checkpoint for the small model."""

import sys

from rayner.cli.jobs.definitions import PRETRAIN
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(PRETRAIN))
