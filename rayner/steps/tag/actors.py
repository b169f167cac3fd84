"""Units of work through both stages, by Ray Data actors. Rows name them; an actor reads, scores and writes one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray.data

from rayner.cluster.failures import AGAIN, described
from rayner.cluster.session import start_logging
from rayner.config.settings import Config
from rayner.errors import JobError
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.runs.storage import Place
from rayner.steps.tag.stages import Gate, LlmStage, LoadedUnit, SlmStage

Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What actors do with units. read: the segments of the unit that a row names; write: what it tells is handed on.

    notes: where a process that dies leaves what it did.
    """

    config: Config
    run: Run
    gate: Gate | None
    notes: Place
    read: Callable[[Row], LoadedUnit]
    write: Callable[[LoadedUnit], Row]


class Scorer:
    """What an actor does with a unit: read it, both stages, write it.

    A model each in actors of their own would pass units on, and what one has scored would be lost with all that waits
    for the other; so a crash costs an actor the unit that it has in hand.
    """

    def __init__(self, work: Work) -> None:
        from rayner.modeling.training import use_threads

        start_logging()
        use_threads(int(work.config.score.cpus))
        self.slm = SlmStage(work.config, work.run, work.notes)
        self.llm = LlmStage(work.config, work.run, work.gate, work.notes)
        self.read, self.write = work.read, work.write

    def __call__(self, row: Row) -> Row:
        """Read a unit, score and write it; what `write` tells of it, or what went wrong.

        Ray Data would wrap what is raised here in errors of its own, without its cause.
        """
        try:
            return self.write(self.llm(self.slm(self.read(row))))
        except Exception as error:
            log.exception("%s failed", row["unit"])
            return {"unit": row["unit"], "failure": described(error)}


def scored(rows: Sequence[Row], work: Work) -> Iterator[Row]:
    """Both stages over units, by actors; yields what `write` tells of each, in the order in which they are done.

    Raises JobError if a unit could not be read or written.
    """
    if not rows:
        return
    dataset: ray.data.Dataset = ray.data.from_items(list(rows), override_num_blocks=len(rows))
    score = work.config.score
    remote: Any = {
        "num_cpus": score.cpus,
        "num_gpus": score.gpus or None,
        # Ray's own defaults start an actor again for ever.
        "max_restarts": score.max_restarts,
        "max_task_retries": -1,
    }
    stage: Any = Scorer  # Ray's types know classes only by a protocol without arguments
    done = dataset.map(
        stage,
        fn_constructor_kwargs={"work": work},
        compute=ray.data.ActorPoolStrategy(size=score.actors),
        **remote,
    )
    for row in done.iter_rows():
        if row.get("failure"):
            raise JobError(f"{row['unit']}: {row['failure']}; {AGAIN}")
        yield row
