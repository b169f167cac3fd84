"""Pretrain an encoder on a corpus without labels, as a checkpoint for the small model."""

import sys

try:
    from rayner.cli.jobs.definitions import PRETRAIN
    from rayner.cli.jobs.running import run_job
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no {error.name}: use .venv/bin/python (`make install`) or `pip install rayner`"
    )

if __name__ == "__main__":
    sys.exit(run_job(PRETRAIN))
