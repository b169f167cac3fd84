"""Score held-out sentences by both models."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_training
from rayner.steps.score import score

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", score, check=check_training))
