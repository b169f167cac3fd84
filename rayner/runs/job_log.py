"""The log of a job: rayner's own lines, and other libraries' warnings."""

import io
import logging
import sys

from rayner.runs.progress import erase_bar, log


def start_logging() -> None:
    """Print rayner's log lines plainly to the standard output; of other libraries, only warnings and errors."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # in a file, the workers' lines would wait for a full buffer
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(erase_bar)  # no line is printed into a bar
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    for name in ("", "ray.train"):  # Ray Train lowers both in its workers, and would print every report again
        logging.getLogger(name).setLevel(logging.WARNING)
