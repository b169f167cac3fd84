"""Peak memory of a job: the driver and, on a local Ray, all processes that it started."""

import threading
from types import TracebackType

import psutil


class PeakMemoryMonitor:
    """While it is open, samples the memory of this process and its descendants; `peak` is in MiB.

    Shared pages (the object store, libraries) count once: it adds up proportional set sizes where the system tells
    them, else resident ones.
    """

    def __init__(self, interval_seconds: float = 5.0) -> None:
        self.seconds, self.peak = interval_seconds, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemoryMonitor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.seconds):
            self.peak = max(self.peak, process_tree_mib())


def process_tree_mib() -> float:
    """Memory of this process and its descendants now, MiB."""
    own = psutil.Process()
    total = 0
    for process in [own, *own.children(recursive=True)]:
        try:
            info = process.memory_full_info()
        except psutil.Error:
            continue  # it ended meanwhile
        total += getattr(info, "pss", info.rss)
    return total / 1024**2
