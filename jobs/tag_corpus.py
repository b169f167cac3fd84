"""Tag a corpus with both models and the fusion rule."""

import sys

from rayner.cli.jobs import run_job
from rayner.steps.preflight import check_tagging
from rayner.steps.tag.tag_corpus import tag_corpus

if __name__ == "__main__":
    sys.exit(run_job(__doc__ or "", tag_corpus, check=check_tagging, writes="out"))
