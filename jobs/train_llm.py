"""Fine-tune the LLM with DeepSpeed and LoRA."""

import sys

from rayner.cli.jobs.definitions import TRAIN_LLM
from rayner.cli.jobs.running import run_job

if __name__ == "__main__":
    sys.exit(run_job(TRAIN_LLM))
