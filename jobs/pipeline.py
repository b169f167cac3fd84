"""Run the main job: labelled text and a corpus in, the tagged corpus and a report out."""

import sys

try:
    from rayner.cli.jobs.definitions import RUN
    from rayner.cli.jobs.running import run_job
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no {error.name}: use .venv/bin/python (`make install`) or `pip install rayner`"
    )

if __name__ == "__main__":
    sys.exit(run_job(RUN))
