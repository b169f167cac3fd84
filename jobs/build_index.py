"""Index the training sentences, for examples in the LLM's prompt."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.build_index:build_index",
            check="rayner.steps.preflight:check_and_describe_llm_training",
        )
    )
