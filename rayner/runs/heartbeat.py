"""Beats: signs that a process makes progress.

Code that works for a long time calls `beat` at each of its steps, and says how many answers are complete since the last
one. By default, this does nothing. A process that is watched installs a function that passes the beats on.
"""

from collections.abc import Callable

_pass_on: Callable[[int, int], None] | None = None


def beat(n_texts: int = 0, n_chars: int = 0) -> None:
    """Show that the process makes progress. This takes less than a microsecond and may be called often.

    n_texts: the number of texts that the LLM has answered since the last beat.
    n_chars: their characters.
    """
    if _pass_on is not None:
        _pass_on(n_texts, n_chars)


def pass_beats_on(function: Callable[[int, int], None] | None) -> None:
    """Call a function with `n_texts` and `n_chars` at each beat of this process from now on. None stops this."""
    global _pass_on
    _pass_on = function
