"""Index the training sentences, for examples in the LLM's prompt."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.build_index import build_index
from rayner.steps.preflight import check_training

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", build_index, check=check_training))
