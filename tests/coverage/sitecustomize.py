"""Coverage in Ray's workers, for `make coverage`: Ray kills them, so what they ran is saved now and then."""

import threading

import coverage

measured = coverage.Coverage.current()


def save() -> None:
    """Every second, while the process runs."""
    pause = threading.Event()
    while not pause.wait(1):
        measured.save()


if measured is not None:
    threading.Thread(target=save, daemon=True).start()
