"""Run the main job: labelled text and a corpus in, the tagged corpus and a report out."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.pipeline:run_pipeline",
            check="rayner.steps.preflight:check_and_describe_pipeline",
            retry="rayner.steps.tag.recovery:forget_set_aside_units",
        )
    )
