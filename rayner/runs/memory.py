"""Measure the peak memory of a job: of its driver and, with a local Ray, of all processes that the driver started.

Also pause Python's garbage collection while much is loaded.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import psutil


class PeakMemoryMonitor:
    """Context manager that samples the memory of this process and its descendants. `peak` is in MiB.

    A sample adds up the proportional set sizes, so that shared pages (object store, libraries) count once. If the
    system does not report them, it adds up the resident set sizes.
    """

    def __init__(self, interval_seconds: float = 5.0) -> None:
        self.interval_seconds, self.peak = interval_seconds, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_stopped, daemon=True)

    def __enter__(self) -> "PeakMemoryMonitor":
        self._thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample_until_stopped(self) -> None:
        while not self._stop.wait(self.interval_seconds):
            self.peak = max(self.peak, process_tree_mib())


def process_tree_mib() -> float:
    """Return the memory that this process and its descendants use now, in MiB."""
    this_process = psutil.Process()
    n_bytes = 0
    for process in [this_process, *this_process.children(recursive=True)]:
        try:
            info = process.memory_full_info()
        except psutil.Error:
            continue  # the process has ended
        n_bytes += getattr(info, "pss", info.rss)
    return n_bytes / 1024**2


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Run the block without Python's garbage collection.

    Importing transformers and loading a model makes objects that stay. To look through them again and again takes a
    seventh of the CPU time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
