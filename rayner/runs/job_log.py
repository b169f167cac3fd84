"""The log of a job. It holds rayner's own lines and the warnings of other libraries."""

import io
import logging
import sys

from rayner.runs.error_messages import clean_lines
from rayner.runs.progress import erase_bar, log


class _SafeFormatter(logging.Formatter):
    """Formats log lines without credentials and without control characters, except line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        return clean_lines(super().format(record))


def start_logging() -> None:
    """Print rayner's log lines to the standard output.

    Other libraries may print only warnings and errors.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # otherwise lines to a file wait until a buffer is full
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_SafeFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(erase_bar)  # erases a progress bar before a line is printed
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    for name in ("", "ray.train"):  # Ray Train lowers both levels in its workers and would print every report again
        logging.getLogger(name).setLevel(logging.WARNING)
