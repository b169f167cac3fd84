"""`python -m tests.simulation`: simulate tagging jobs with faults, for many seeds, or one again."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter

from tests.simulation.corpora import CORPORA
from tests.simulation.jobs import simulated_jobs
from tests.simulation.records import Outcome, Scenario
from tests.simulation.scenario import run_scenario
from tests.simulation.schedules import draw_scenario, every_operation, format_fault, parse_fault

_SEEDS_PER_LINE = 500


@dataclass
class Totals:
    """Counts of the scenarios so far."""

    scenarios: int = 0
    identical: int = 0
    operations: int = 0
    jobs: int = 0
    restored: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=perf_counter)

    def add(self, outcome: Outcome) -> None:
        """Count a scenario."""
        self.scenarios += 1
        self.identical += not outcome.violations
        self.operations += outcome.world.n_operations
        self.jobs += len(outcome.jobs)
        self.restored += outcome.n_restored
        self.faults.update(fault.kind for _, fault in outcome.world.injected)

    def __str__(self) -> str:
        return (
            f"{self.identical:,} of {self.scenarios:,} identical; {self.operations:,} operations, {self.jobs:,} jobs, "
            f"{self.faults.total():,} faults, {self.restored:,} files restored as a message said; "
            f"{perf_counter() - self.started:,.0f} s"
        )


def describe_outcome(outcome: Outcome, *, log: bool = False) -> str:
    """Describe a scenario and its end in lines. log: also list every operation and message."""
    scenario, world = outcome.scenario, outcome.world
    faults = " ".join(f"--fault {format_fault(fault)}" for fault in scenario.faults)
    lines = [
        f"seed {scenario.seed}: corpus {scenario.corpus}, {faults}",
        *(f"  operation {number}: {fault.kind} {' '.join(world.log[number][:1]) if number < len(world.log) else ''}"
          for number, fault in world.injected),
        *(f"  {job.process.name if job.process else ''}: exit code {job.code} {job.message}" for job in outcome.jobs),
        *(f"  VIOLATION {violation}" for violation in outcome.violations),
    ]  # fmt: skip
    if log:
        lines += [f"{i:>6} {' '.join(entry)}" for i, entry in enumerate(world.log)]
        lines += [*(job.crash for job in outcome.jobs), *world.messages]
    return "\n".join(lines)


def run_and_print(scenarios: Iterable[Scenario], seconds: float) -> Totals:
    """Run scenarios until there are no more or the time is over; print violations and counts."""
    totals = Totals()
    for scenario in scenarios:
        outcome = run_scenario(scenario)
        totals.add(outcome)
        if outcome.violations:
            print(describe_outcome(outcome), flush=True)
        if totals.scenarios % _SEEDS_PER_LINE == 0:
            print(f"to seed {scenario.seed}: {totals}", flush=True)
        if perf_counter() - totals.started > seconds:
            break
    print(totals)
    print("faults: " + ", ".join(f"{kind} {n:,}" for kind, n in sorted(totals.faults.items())), flush=True)
    return totals


def random_scenarios(first_seed: int, n_seeds: int | None) -> Iterator[Scenario]:
    """Yield the scenarios of consecutive seeds; without end if `n_seeds` is None."""
    seeds = count(first_seed) if n_seeds is None else range(first_seed, first_seed + n_seeds)
    return (draw_scenario(seed) for seed in seeds)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed alone and print each of its operations")
    parser.add_argument("--corpus", choices=CORPORA, help="with --seed: another corpus than the seed's")
    parser.add_argument("--fault", action="append", help="with --seed: KIND@OPERATION, instead of the seed's faults")
    parser.add_argument("--every", action="store_true", help="each fault at each operation in turn")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, help="the number of seeds; without it, until the time is over")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the time")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation; return 1 if a scenario shows a violation."""
    given = build_parser().parse_args(arguments)
    with simulated_jobs():
        if given.seed is not None:
            scenario = draw_scenario(given.seed)
            if given.fault:
                scenario = Scenario(given.seed, given.corpus or "clean", tuple(map(parse_fault, given.fault)))
            elif given.corpus:
                scenario = replace(scenario, corpus=given.corpus)
            outcome = run_scenario(scenario)
            print(describe_outcome(outcome, log=True))
            return int(bool(outcome.violations))
        scenarios = every_operation() if given.every else random_scenarios(given.first, given.count)
        totals = run_and_print(scenarios, given.seconds)
    return int(totals.identical < totals.scenarios)


if __name__ == "__main__":
    sys.exit(main())
