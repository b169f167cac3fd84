"""Beats: signs that a process makes progress.

Code that works for a long time calls `beat` at each of its steps. By default, this does nothing. A process that is
watched installs a function that passes the beats on.
"""

from collections.abc import Callable

_pass_on: Callable[[], None] | None = None


def beat() -> None:
    """Show that the process makes progress. This takes less than a microsecond and may be called often."""
    if _pass_on is not None:
        _pass_on()


def pass_beats_on(function: Callable[[], None] | None) -> None:
    """Call a function at each beat of this process from now on. None stops this."""
    global _pass_on
    _pass_on = function
