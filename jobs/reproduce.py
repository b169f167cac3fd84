"""Run the published experiment on labelled sets, and print the paper's numbers beside ours."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.reproduce import check_reproduction, reproduce

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", reproduce, check=check_reproduction))
