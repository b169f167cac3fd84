"""Tag a corpus with both models and the fusion rule."""

import sys

from rayner.cli.jobs import run_job

if __name__ == "__main__":
    sys.exit(
        run_job(
            __doc__ or "",
            "rayner.steps.tag.tag_corpus:tag_corpus",
            check="rayner.steps.preflight:check_and_describe_tagging",
            output_setting="out",
            retry="rayner.steps.tag.recovery:forget_set_aside_units",
        )
    )
