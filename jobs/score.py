"""Score held-out sentences by both models."""

import sys

from rayner.cli import run_job
from rayner.cluster.preflight import check_training
from rayner.cluster.score import score

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", score, check=check_training))
