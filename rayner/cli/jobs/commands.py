"""The subcommands of `rayner` that are jobs."""

from functools import partial
from typing import Any

from rayner.cli.jobs.arguments import add_job_parser
from rayner.cli.jobs.definitions import (
    BENCH,
    BUILD_INDEX,
    REPRODUCE,
    RUN,
    SCORE,
    TRAIN_LLM,
    TRAIN_SLM,
    TUNE_FUSION,
    Job,
)
from rayner.cli.jobs.running import run_job_command

_INPUTS = "run=runs/mine train=labelled.txt"
_EXAMPLES: dict[Job, tuple[str, ...]] = {
    RUN: (
        "demo",
        f"laptop {_INPUTS} corpus=my_corpus --dry-run",
        f"laptop {_INPUTS} corpus=my_corpus",
        f"my_settings.yaml {_INPUTS}",
    ),
    TRAIN_SLM: (f"laptop {_INPUTS}",),
    BUILD_INDEX: (f"paper-small {_INPUTS}",),
    TRAIN_LLM: (f"paper-small {_INPUTS}",),
    SCORE: (f"laptop {_INPUTS}",),
    TUNE_FUSION: (f"laptop {_INPUTS}",),
    REPRODUCE: ("paper run=runs/paper datasets.A=A.txt datasets.B=B.txt",),
    BENCH: (f"bench {_INPUTS} corpus=my_corpus",),
}
JOB_COMMANDS = {job.name: job for job in _EXAMPLES}


def add_parser(commands: Any, name: str) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of the subcommand of one job."""
    job = JOB_COMMANDS[name]
    add_job_parser(commands, job, *_EXAMPLES[job]).set_defaults(call=partial(run_job_command, job=job))
