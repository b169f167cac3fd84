"""Fine-tune the LLM with DeepSpeed and LoRA."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_training
from rayner.steps.training.train_llm import train_llm

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", train_llm, check=check_training))
