"""Run the main job: labelled text and a corpus in, the tagged corpus and a report out."""

import sys

from rayner.cli.jobs.definitions import RUN
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(RUN))
