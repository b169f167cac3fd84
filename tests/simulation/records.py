"""What a run of the simulation is made from, and what became of it."""

from dataclasses import dataclass, field

from tests.simulation.faults import Fault
from tests.simulation.jobs import Job
from tests.simulation.world import World


@dataclass(frozen=True)
class Scenario:
    """What happens in a run of the simulation. All of it follows from the fields.

    max_set_aside: the setting `tag.max_set_aside`.
    other_rule: whether the corpus is fused again under another rule after it was tagged. Both rules ask the LLM about
        every segment, so that a unit that is predicted again has the same batches.
    corrected: whether the job applies the corrections of a person.
    """

    seed: int
    corpus: str
    faults: tuple[Fault, ...]
    max_set_aside: float = 1.0
    switch_share: float = 0.2
    seconds_per_operation: float = 0.001
    other_rule: bool = False
    corrected: bool = False


@dataclass
class Outcome:
    """What became of a scenario.

    files: the tagged corpus at the end.
    n_restored: how often a person restored a damaged file, because the message said so.
    """

    scenario: Scenario
    world: World
    jobs: list[Job] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    n_restored: int = 0
