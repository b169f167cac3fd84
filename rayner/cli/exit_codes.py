"""Run a command and return its exit code. Jobs and all other commands use the same exit codes.

Exit codes:

- 0: done.
- 1: any error that is not listed here.
- 2: wrong settings or input.
- 3: done, but more segments failed and were set aside than the settings allow.
- 130: interrupted by Ctrl-C.
- 143: stopped by SIGTERM.

This module imports nothing heavy, because every command imports it.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rayner.errors import ConfigError, RaynerError
from rayner.runs.error_messages import INTERRUPTED, hide_credentials_in_tracebacks, make_printable
from rayner.text.credentials import CREDENTIALS_IN_URL, holds_credentials


def call_and_return_exit_code(function: Callable[[], Any]) -> int:
    """Call a function and return the exit code.

    Ctrl-C and a RaynerError are printed in one line. A closed output is ignored. Other errors propagate.
    Nothing that is printed holds credentials, a traceback included.
    """
    hide_credentials_in_tracebacks()
    try:
        function()
    except KeyboardInterrupt:
        _erase_bar()
        print(INTERRUPTED, file=sys.stderr)
        return 128 + signal.SIGINT
    except RaynerError as error:
        _erase_bar()
        print(f"error: {make_printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the program that reads the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _erase_bar() -> None:
    """Erase the progress bar, if this process has drawn one."""
    if progress := sys.modules.get("rayner.runs.progress"):  # not imported: it would delay the message
        progress.erase_bar()


def refuse_credentials_in_arguments(arguments: Sequence[str] | None) -> None:
    """Raise ConfigError, which names the place, if an argument holds a URL with credentials.

    arguments: the command-line arguments; None for those of the process.
    """
    for i, argument in enumerate(sys.argv[1:] if arguments is None else arguments, start=1):
        if holds_credentials(argument):
            option = argument.partition("=")[0]
            name = f"{option}: " if re.fullmatch(r"[\w.-]+", option) else ""
            raise ConfigError(f"argument {i}: {name}{CREDENTIALS_IN_URL}")
