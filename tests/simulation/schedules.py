"""Which scenarios are run: every fault at every operation in turn, again during recovery, and at random."""

import random
from collections.abc import Iterator

from tests.simulation.corpora import CORPORA
from tests.simulation.faults import (
    ACTOR_KILLS,
    AT_REST,
    ERRORS,
    JOB_KILLS,
    KILLS,
    READING,
    Fault,
    draw_faults,
    fault_applies,
)
from tests.simulation.records import Scenario
from tests.simulation.scenario import run_scenario, undisturbed

EACH_OPERATION = (*KILLS, *ACTOR_KILLS, *JOB_KILLS, *ERRORS, "interrupt", "terminate", "second_job", "repeat_unit")
_OTHER_RULE_SHARE = 0.25
_CHANGES_ONLY = (*KILLS, *ACTOR_KILLS, *JOB_KILLS)  # a death at a read leaves what a death after the last write leaves


def draw_scenario(seed: int) -> Scenario:
    """Draw a scenario with random faults. Every third seed strikes once, and once more while the job recovers."""
    rng = random.Random(f"scenario {seed}")
    corpus = rng.choice(("clean", "clean", "clean", *CORPORA))
    other_rule = rng.random() < _OTHER_RULE_SHARE
    n_operations = undisturbed(corpus, 1.0, other_rule).world.n_operations
    if seed % 3 == 0:
        first = rng.randrange(n_operations)
        kinds = (*EACH_OPERATION, *AT_REST)
        faults = [Fault(rng.choice(kinds), first), Fault(rng.choice(kinds), first + 1 + rng.randrange(n_operations))]
    else:
        faults = draw_faults(rng, n_operations)
    return Scenario(
        seed,
        corpus,
        tuple(faults),
        max_set_aside=rng.choice((0.0, 1.0)),
        switch_share=rng.choice((0.0, 0.1, 0.5)),
        seconds_per_operation=rng.choice((0.001, 0.001, 0.3)),
        other_rule=other_rule,
    )


def every_operation() -> Iterator[Scenario]:
    """Yield, for each kind of fault, a scenario for each operation of an undisturbed job that the fault fits."""
    for number, (process, kind, path) in enumerate(run_scenario(Scenario(0, "clean", ())).world.log):
        for fault_kind in EACH_OPERATION:
            if fault_kind in _CHANGES_ONLY and kind in READING:
                continue
            if fault_applies(Fault(fault_kind, number), kind, path, is_actor="actor" in process):
                yield Scenario(0, "clean", (Fault(fault_kind, number),))


def parse_fault(text: str) -> Fault:
    """Parse `KIND@OPERATION`; a `!` at the end stands for an error that lasts."""
    kind, _, number = text.partition("@")
    return Fault(kind, int(number.rstrip("!")), number.endswith("!"))


def format_fault(fault: Fault) -> str:
    """Return what `parse_fault` parses."""
    return f"{fault.kind}@{fault.operation}{'!' if fault.lasts else ''}"
