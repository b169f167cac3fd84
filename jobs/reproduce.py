"""The published experiment - labelled sets in, its table beside ours out."""

import sys

from rayner.cli import run_job
from rayner.cluster.reproduce import check, reproduce

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", reproduce, check=check))
