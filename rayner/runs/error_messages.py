"""Describe an error in one line, which a job prints instead of a traceback."""

import errno
import sys
import traceback
from types import TracebackType

from rayner.text.credentials import hide_credentials
from rayner.text.messages import escape_control_characters

RERUN_HINT = "rerun the same command to resume"
INTERRUPTED = f"interrupted; {RERUN_HINT}"
_MAX_MESSAGE_CHARS = 4000
_STORAGE_CLIENT_MODULES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")  # they define their own errors


def format_error(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left"
    if is_storage_error(error):
        return f"cannot be read or written: {first_line(error)}"
    return f"{type(error).__name__}: {first_line(error)}"


def is_storage_error(error: BaseException) -> bool:
    """Return whether an error comes from a file system or the client of an object store."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _STORAGE_CLIENT_MODULES


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut to 300 characters, without credentials."""
    return hide_credentials(str(error).strip()[:_MAX_MESSAGE_CHARS].partition("\n")[0])[:300]


def make_printable(message: str) -> str:
    """Return a message without credentials and control characters, cut to 4,000 characters.

    Line breaks stay.
    """
    more = len(message) - _MAX_MESSAGE_CHARS
    shown = clean_lines(message[:_MAX_MESSAGE_CHARS])
    return f"{shown}... ({more:,} characters more)" if more > 0 else shown


def clean_lines(text: str) -> str:
    """Return a text without credentials and without control characters, except line breaks."""
    return "\n".join(map(escape_control_characters, hide_credentials(text).split("\n")))


def hide_credentials_in_tracebacks() -> None:
    """Print tracebacks of errors that end this process without credentials."""

    def print_traceback(
        error_type: type[BaseException], error: BaseException, error_traceback: TracebackType | None
    ) -> None:
        lines = traceback.format_exception(error_type, error, error_traceback)
        sys.stderr.write(hide_credentials("".join(lines)))

    sys.excepthook = print_traceback
