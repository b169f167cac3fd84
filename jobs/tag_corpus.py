"""Tag a corpus with both models and the fusion rule."""

import sys

from rayner.cli.jobs.definitions import TAG_CORPUS
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(TAG_CORPUS))
