"""Run both models on the held-out sentences."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_training
from rayner.steps.score import score_held_out

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", score_held_out, check=check_training))
