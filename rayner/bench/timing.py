"""How the benchmark measures: works that take turns, medians, and the table of what was found."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

BATCH_SIZES = (8, 16, 32, 64)
_PAUSE = 0.5  # seconds


@dataclass(frozen=True)
class BenchmarkRow:
    """A figure of the table: what, against what, the number, the aim, and a remark."""

    figure: str
    against: str
    value: str
    aim: str
    remark: str = ""


def speedup_row(figure: str, against: str, theirs: float, ours: float, aim: str, remark: str) -> BenchmarkRow:
    """How many times faster ours is, from the seconds of both."""
    return BenchmarkRow(figure, against, f"{theirs / ours:.1f} times", f"{aim} times", remark)


def format_markdown_table(lines: Sequence[BenchmarkRow]) -> str:
    """The lines as a Markdown table."""
    rows = [("figure", "against", "measured", "aim", "remark"), ("---",) * 5]
    rows += [(line.figure, line.against, line.value, line.aim, line.remark) for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def time_in_turns(rounds: int, works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each work; they take turns, after a round that is not counted.

    A pause lets the threads of the one before, in whatever process, stop waiting for more work at full speed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for counted in (False, *[True] * rounds):
        for name, work in works.items():
            time.sleep(_PAUSE)
            taken = measure_seconds(work)
            if counted:
                seconds[name].append(taken)
    return {name: statistics.median(found) for name, found in seconds.items()}


def fastest_batch_size(work: Callable[[int], Any]) -> int:
    """The batch size at which a work is fastest."""
    seconds = {size: measure_seconds(partial(work, size)) for size in BATCH_SIZES}
    return min(seconds, key=lambda size: seconds[size])


def measure_seconds(work: Callable[[], Any]) -> float:
    """Seconds that a work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
