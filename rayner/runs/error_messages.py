"""Describe an error in one line, which a job prints instead of a traceback."""

import errno

RERUN_HINT = "rerun the same command to resume"
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
    """Return the first line of an error's message, cut to 300 characters."""
    return str(error).strip().partition("\n")[0][:300]
