"""Fit the fusion rule on the held-out sentences."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_scores
from rayner.steps.tune_fusion import tune_fusion

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", tune_fusion, check=check_scores))
