"""Fine-tune the LLM with DeepSpeed and LoRA."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.training.train_llm:train_llm",
            check="rayner.steps.preflight:check_and_describe_llm_training",
        )
    )
