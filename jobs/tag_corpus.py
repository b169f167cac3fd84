"""Tag a corpus by both models and their fusion."""

import sys

from rayner.cli import run_job
from rayner.cluster.preflight import check_tagging
from rayner.cluster.tag import tag_corpus

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", tag_corpus, check=check_tagging, writes="out"))
