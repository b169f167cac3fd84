"""The main job - labelled text and a corpus in, the tagged corpus and a report out."""

import sys

from rayner.cli import run_job
from rayner.cluster.pipeline import pipeline
from rayner.cluster.preflight import check_pipeline

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", pipeline, check=check_pipeline))
