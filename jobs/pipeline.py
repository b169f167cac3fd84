"""Run the main job: labelled text and a corpus in, the tagged corpus and a report out."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.pipeline import run_pipeline
from rayner.steps.preflight import check_pipeline

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", run_pipeline, check=check_pipeline))
