"""Train the small model."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_training
from rayner.steps.training.train_slm import train_slm

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", train_slm, check=check_training))
