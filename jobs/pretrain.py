"""Pretrain an encoder on a corpus without labels, as a checkpoint for the small model."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.pretraining.pretrain:pretrain",
            check="rayner.steps.pretraining.pretrain:check_and_describe_pretraining",
        )
    )
