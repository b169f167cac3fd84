"""Measure the times of functions in turns, and build the rows of the benchmark's table."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

BATCH_SIZES = (8, 16, 32, 64)
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class BenchmarkRow:
    """A row of the table. The fields have the same names in `bench.json`.

    figure: what was measured.
    against: what it is compared with.
    value: the result.
    aim: the result that the project aims at.
    remark: more details, such as the times behind a ratio.
    """

    figure: str
    against: str
    value: str
    aim: str
    remark: str = ""


def build_speedup_row(
    figure: str, against: str, peer_seconds: float, own_seconds: float, aim: str, remark: str
) -> BenchmarkRow:
    """Build a row that says how many times faster rayner is."""
    return BenchmarkRow(figure, against, f"{peer_seconds / own_seconds:.1f} times", f"{aim} times", remark)


def format_markdown_table(rows: Sequence[BenchmarkRow]) -> str:
    """Format the rows as a Markdown table."""
    cells = [("figure", "against", "measured", "aim", "remark"), ("---",) * 5]
    cells += [(row.figure, row.against, row.value, row.aim, row.remark) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def measure_median_seconds_in_turns(rounds: int, functions: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median seconds of each function. All functions run once in each round.

    The first round is not counted. Before each function there is a pause, so that threads of the previous function can
    end their busy waiting. Such threads may be in other processes.

    Args:
        rounds: number of rounds that count.
        functions: the functions by name.

    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for counted in (False, *[True] * rounds):
        for name, work in functions.items():
            time.sleep(_PAUSE_SECONDS)
            elapsed = measure_seconds(work)
            if counted:
                seconds[name].append(elapsed)
    return {name: statistics.median(elapsed) for name, elapsed in seconds.items()}


def find_fastest_batch_size(run_with_batch_size: Callable[[int], Any]) -> int:
    """Return the batch size with which a function runs fastest.

    run_with_batch_size: runs the work with the batch size that it gets as its argument.
    """
    seconds = {size: measure_seconds(partial(run_with_batch_size, size)) for size in BATCH_SIZES}
    return min(seconds, key=lambda size: seconds[size])


def measure_seconds(function: Callable[[], Any]) -> float:
    """Return the seconds that a function takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
