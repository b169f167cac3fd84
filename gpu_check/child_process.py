"""Run a function in a process of its own, so that neither an error, nor a crash, nor a hang there ends the others."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

_SECONDS_TO_END = 10  # after it sent its result, or was killed


class ChildFailedError(Exception):
    """The process ended without a result, or took too long. The message says which."""


@dataclass(frozen=True)
class ChildCall:
    """A function with its arguments, all of which can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def run_in_child(call: ChildCall, seconds: float, *, fork: bool) -> Any:  # noqa: ANN401 - what the function returns
    """Return what the function returns in a new process.

    Args:
        call: The function with its arguments.
        seconds: The process is killed after this time.
        fork: Whether the process starts as a copy of this one, which is fast. A process that uses a GPU must not, if
            this one has imported torch.

    Raises:
        ChildFailedError: The process ended without a result, or took longer.

    """
    context = multiprocessing.get_context("fork" if fork else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(sender, call))  # type: ignore[attr-defined]  # of both contexts
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise ChildFailedError(f"it was stopped after {seconds:.0f} s")
        result = receiver.recv()
        process.join(_SECONDS_TO_END)
        return result
    except EOFError:
        process.join(_SECONDS_TO_END)
        raise ChildFailedError(f"its process ended without a result ({_describe_exit(process.exitcode)})") from None
    finally:
        process.kill()
        process.join(_SECONDS_TO_END)  # a process that hangs in a driver does not end at all


def _send_result(sender: Connection, call: ChildCall) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print; standard output is the table's
    sender.send(call.function(*call.arguments))


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
