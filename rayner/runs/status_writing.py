"""Write the status of a job into its run folder, every few seconds."""

import dataclasses
import logging
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

from rayner.runs.json_files import write_json
from rayner.runs.status import STATUS_FILE, JobStatus
from rayner.runs.storage import StoragePath

_log = logging.getLogger("rayner")
_LOCAL_UPDATE_SECONDS, _REMOTE_UPDATE_SECONDS = 5.0, 30.0


class StatusWriter:
    """Writes the status of a job into its run folder every few seconds, in its own thread."""

    def __init__(self, folder: StoragePath, job: str, update_seconds: float | None = None) -> None:
        self.path = folder / STATUS_FILE
        self.status = new_status(job, update_seconds or choose_update_seconds(folder))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write_until_stopped, daemon=True)
        self._thread.start()

    def close(self, state: str, error: str = "") -> None:
        """Stop the thread and write how the job ended."""
        self._stop.set()
        self._thread.join()
        self.status = replace(self.status, state=state, error=error)
        try_write_status(self.path, self.status)

    def _write_until_stopped(self) -> None:
        try_write_status(self.path, self.status)
        while not self._stop.wait(self.status.every):
            try_write_status(self.path, self.status)


def new_status(job: str, update_seconds: float) -> JobStatus:
    """Return the status of a job that this process has just started."""
    now = time.time()
    return JobStatus(job, socket.gethostname(), os.getpid(), now, now, update_seconds, name=job)


def choose_update_seconds(path: StoragePath) -> float:
    """Return the seconds between two updates of a status file; a write to an object store costs more."""
    return _LOCAL_UPDATE_SECONDS if isinstance(path, Path) else _REMOTE_UPDATE_SECONDS


def try_write_status(path: StoragePath, status: JobStatus) -> None:
    """Write a status file, with the current time. An error is only logged for debugging."""
    try:
        write_json(path, dataclasses.asdict(replace(status, updated=time.time())))
    except Exception as error:  # any error of the storage: a job must not fail because its status cannot be written
        _log.debug("%s: %s", path, error)
