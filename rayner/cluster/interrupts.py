"""End a job soon after Ctrl-C.

Python raises KeyboardInterrupt in the main thread. This alone is not enough: a library may replace the signal handler,
turn the exception into another one, or take long to shut down, and workers, which get the signal too, print tracebacks.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rayner.runs.error_messages import INTERRUPTED
from rayner.runs.progress import erase_bar, record_interruption

EXIT_CODE = 128 + signal.SIGINT
_SHUTDOWN_SECONDS = 2.5  # for an orderly end: of the actors, the status, the lock
_STATUS_SECONDS = 0.5
_OTHER_ERROR_SECONDS = 0.2  # a worker's error may arrive before the watcher has read the signal

_interrupted = threading.Event()
_lock = threading.RLock()  # a second signal may come while the first is handled, in the same thread


@contextmanager
def end_soon_after_sigint() -> Iterator[None]:
    """While the block runs, make a SIGINT end this process within seconds.

    At the signal, one line is printed and all later output is dropped. The block ends by KeyboardInterrupt. When it has
    ended, or after a few seconds, or at a second signal, this process ends with EXIT_CODE, and so do all processes that
    it started. Files are safe, because every write is atomic.

    Only the main thread gets signals. In another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _interrupted.clear()
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    # Unlike a handler, this works if a library replaces the handler, and while the main thread is in C code.
    previous_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    previous_handler = signal.signal(signal.SIGINT, _raise_keyboard_interrupt)
    if previous_handler is signal.SIG_IGN:  # the shell started this process in the background
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=[receiver], daemon=True).start()
    try:
        with keep_keyboard_interrupt():
            yield
    finally:
        if _interrupted.is_set():  # Python would wait for the libraries
            _end_process()
        signal.signal(signal.SIGINT, previous_handler)
        signal.set_wakeup_fd(previous_descriptor)
        sender.close()


@contextmanager
def keep_keyboard_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of the block if a SIGINT has arrived, whatever a library made of it."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not _interrupted.wait(_OTHER_ERROR_SECONDS):
            raise
        raise KeyboardInterrupt from None
    raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a SIGINT has arrived, for steps that must not begin after it."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _watch(receiver: socket.socket) -> None:
    """Wait for a SIGINT, print the line, and end the process if it does not end by itself."""
    with receiver:
        if not _receives_sigint(receiver):
            return
        _print_line_and_drop_later_output()
        receiver.settimeout(_SHUTDOWN_SECONDS)
        with suppress(TimeoutError):
            _receives_sigint(receiver)
        _end_process()


def _receives_sigint(receiver: socket.socket) -> bool:
    """Wait for a SIGINT; return False if the other end is closed before."""
    while received := receiver.recv(1):
        if received[0] == signal.SIGINT:
            return True
    return False


def _raise_keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    _print_line_and_drop_later_output()
    raise KeyboardInterrupt


def _print_line_and_drop_later_output() -> None:
    with _lock:
        if _interrupted.is_set():
            return
        _interrupted.set()
        with suppress(RuntimeError):  # the signal has come while this thread writes a line
            erase_bar()
            sys.stdout.flush()
        os.write(2, f"{INTERRUPTED}\n".encode())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)


def _end_process() -> None:
    """Record the end in the status, kill all processes that this one started, and end it."""
    import psutil

    writer = threading.Thread(target=record_interruption, daemon=True)
    writer.start()
    writer.join(_STATUS_SECONDS)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended
            process.kill()
    os._exit(EXIT_CODE)
