"""Index the training sentences, for examples in the LLM's prompt."""

import sys

from rayner.cli.jobs.definitions import BUILD_INDEX
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(BUILD_INDEX))
