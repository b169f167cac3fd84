"""Units of work through both stages, by Ray Data actors. Rows name them; an actor reads, scores and writes one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray.data

from rayner.cluster.failures import RERUN_HINT, format_error
from rayner.cluster.session import start_logging
from rayner.config.settings import Config
from rayner.errors import JobError
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath
from rayner.steps.tag.stages import Gate, LlmStage, SlmStage, UnitPredictions

Row = dict[str, Any]


@dataclass(frozen=True)
class PredictionJob:
    """What actors do with units. read: the segments of the unit that a row names; write: what it tells is handed on.

    notes: where a process that dies leaves what it did.
    """

    config: Config
    run: Run
    gate: Gate | None
    attempts_folder: StoragePath
    read_unit: Callable[[Row], UnitPredictions]
    write_unit: Callable[[UnitPredictions], Row]


class UnitPredictor:
    """What an actor does with a unit: read it, both stages, write it.

    A model each in actors of their own would pass units on, and what one has scored would be lost with all that waits
    for the other; so a crash costs an actor the unit that it has in hand.
    """

    def __init__(self, work: PredictionJob) -> None:
        from rayner.modeling.training import set_torch_threads

        start_logging()
        set_torch_threads(int(work.config.score.cpus))
        self.slm = SlmStage(work.config, work.run, work.attempts_folder)
        self.llm = LlmStage(work.config, work.run, work.gate, work.attempts_folder)
        self.read, self.write = work.read_unit, work.write_unit

    def __call__(self, row: Row) -> Row:
        """Read a unit, score and write it; what `write` tells of it, or what went wrong.

        Ray Data would wrap what is raised here in errors of its own, without its cause.
        """
        try:
            return self.write(self.llm(self.slm(self.read(row))))
        except Exception as error:
            log.exception("%s failed", row["unit"])
            return {"unit": row["unit"], "failure": format_error(error)}


def predict_units(rows: Sequence[Row], job: PredictionJob) -> Iterator[Row]:
    """Both stages over units, by actors; yields what `write` tells of each, in the order in which they are done.

    Raises JobError if a unit could not be read or written.
    """
    if not rows:
        return
    dataset: ray.data.Dataset = ray.data.from_items(list(rows), override_num_blocks=len(rows))
    score = job.config.score
    remote: Any = {
        "num_cpus": score.cpus,
        "num_gpus": score.gpus or None,
        # Ray's own defaults start an actor again for ever.
        "max_restarts": score.max_restarts,
        "max_task_retries": -1,
    }
    stage: Any = UnitPredictor  # Ray's types know classes only by a protocol without arguments
    done = dataset.map(
        stage,
        fn_constructor_kwargs={"work": job},
        compute=ray.data.ActorPoolStrategy(size=score.actors),
        **remote,
    )
    for row in done.iter_rows():
        if row.get("failure"):
            raise JobError(f"{row['unit']}: {row['failure']}; {RERUN_HINT}")
        yield row
