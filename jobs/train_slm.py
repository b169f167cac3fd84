"""Train the small model."""

import sys

from rayner.cli import run_job
from rayner.cluster.preflight import check_training
from rayner.cluster.train_slm import train_slm

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", train_slm, check=check_training))
