"""Ray Data actors that predict units of work, or fuse predictions that were kept.

An actor that predicts holds both models and takes one unit at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import ray.data

from rayner.cluster.stalls import ProgressReporter, ReportsCallback, Watch, watch_for_stalls
from rayner.config.conditions import slm_is_crf
from rayner.config.settings import Config
from rayner.errors import JobError, RaynerError
from rayner.runs.error_messages import RERUN_HINT, format_error
from rayner.runs.heartbeat import beat
from rayner.runs.job_log import start_logging
from rayner.runs.memory import garbage_collection_paused
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps.tag.llm_gate import Gate
from rayner.steps.tag.scored_units import FusedUnit, ScoredUnitFuser, UnitFiles
from rayner.steps.tag.seams import Stage, predict_unit
from rayner.steps.tag.stages import Attempts, LlmStage, PredictedUnit, SlmStage, UnitSegments, skip_llm

BOTH_MODELS, SLM_ALONE = ("slm", "llm"), ("slm",)
_MAX_FUSER_RESTARTS = 10
_NOTHING = PredictedUnit(0, 0)


@dataclass(frozen=True)
class PredictionJob:
    """What actors need to predict units.

    gate: decides which segments the LLM is asked about. If None, it is asked about every segment.
    attempts: an actor notes here what it is about to do. If the actor dies, the next actor reads the note.
    read_unit: takes a unit's name and returns the unit.
    write_unit: writes a predicted unit and returns what the driver learns about it.
    keep_predictions: keeps the predictions of the small model, for actors that hold the LLM alone; None if there are
        none.
    watch: to whom the actor reports its progress; None if nobody watches it.
    models: the models that an actor holds, `slm`, `llm` or both. If no actor holds the LLM, none may be asked.
    on_reports: see `watch_for_stalls`. Actors do not receive it.
    """

    config: Config
    run: Run
    gate: Gate | None
    attempts: Attempts
    read_unit: Callable[[str], UnitSegments]
    write_unit: Callable[[UnitSegments], PredictedUnit]
    keep_predictions: Callable[[UnitSegments], UnitSegments] | None = None
    watch: Watch | None = None
    models: tuple[str, ...] = BOTH_MODELS
    on_reports: ReportsCallback | None = None

    def with_small_model_alone(self) -> "PredictionJob":
        """Return the same job for actors that hold the small model alone, on the resources of `score.slm`."""
        score = self.config.score
        own = replace(score, cpus=score.slm.cpus, gpus=score.slm.gpus)
        device = self.config.device if score.slm.gpus else "cpu"
        return replace(self, config=replace(self.config, score=own, device=device), models=SLM_ALONE)


class UnitPredictor:
    """An actor that reads a unit, runs the small model and the LLM on it, and writes the result.

    One actor holds both models, so a crash loses only the unit in progress. Actors that hold one model each lose what
    one of them does to a unit.
    """

    def __init__(self, job: PredictionJob) -> None:
        start_logging()
        self.reporter = ProgressReporter(job.watch) if job.watch else None
        self.load_failure: str | None = None
        self.read_unit, self.write_unit, self.keep_predictions = job.read_unit, job.write_unit, job.keep_predictions
        self.slm: Stage | None = None
        self.llm: Stage | None = None
        try:
            with garbage_collection_paused():
                self._load_stages(job)
        except RaynerError as error:
            # A model that is wrong stays wrong. Raised here, the error would only make Ray start the actor again.
            self.load_failure = str(error)
        self._report_work("")

    def _load_stages(self, job: PredictionJob) -> None:
        if "llm" in job.models or not slm_is_crf(job.config):  # a CRF needs no torch, whose import takes seconds
            from rayner.modeling.devices import set_torch_threads

            set_torch_threads(int(job.config.score.cpus))
        if "slm" in job.models:
            self.slm = SlmStage(job.config, job.run, job.attempts)
        if "llm" in job.models:
            self.llm = LlmStage(job.config, job.run, job.gate, job.attempts)
        elif job.keep_predictions is None and job.gate is not None:
            self.llm = partial(skip_llm, gate=job.gate)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Predict the unit that `row["unit"]` names; return the fields of a `PredictedUnit`, or an error message.

        Errors are returned and not raised, because Ray Data would wrap an exception and lose its cause.
        """
        name = row["unit"]
        failure = row.get("failure") or self.load_failure  # of the actor that holds the small model, or of this one
        if failure is not None:
            return _describe_unit(name, _NOTHING, failure)
        self._report_work(name)
        try:
            unit = self.read_unit(name)
            if self.slm is None and not unit.scores_sha256:
                raise JobError("the predictions of the small model were kept a moment ago, and are missing or damaged")
            unit = predict_unit(unit, self.slm or _leave, self.llm or _leave)
            beat()
            if self.llm is None and self.keep_predictions is not None:
                self.keep_predictions(unit)
                return _describe_unit(name, _NOTHING)
            return _describe_unit(name, self.write_unit(unit))
        except Exception as error:
            log.exception("%s failed", name)
            return _describe_unit(name, _NOTHING, f"{name}: {format_error(error)}; {RERUN_HINT}")
        finally:
            self._report_work("")

    def _report_work(self, unit: str) -> None:
        """Report which unit the actor works on; "" if it waits for work."""
        if self.reporter is not None:
            self.reporter.begin(unit)


def _leave(unit: UnitSegments) -> UnitSegments:
    return unit


def _describe_unit(name: str, unit: PredictedUnit, failure: str | None = None) -> dict[str, Any]:
    return {"unit": name, **asdict(unit), "failure": failure}


def predict_units(unit_names: Sequence[str], job: PredictionJob) -> Iterator[PredictedUnit]:
    """Predict units with actors; yield what is known about each, in order of completion.

    Raises JobError if a model could not be loaded, or if a unit could not be read, predicted or written.
    """
    if not unit_names:
        return
    rows = [{"unit": name} for name in unit_names]
    dataset: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    score = job.config.score
    with watch_for_stalls(job.config.tag.stall_minutes, job.on_reports) as watch:
        job, n_actors = replace(job, watch=watch, on_reports=None), score.actors
        if job.models == SLM_ALONE and score.slm.actors:
            job, n_actors = job.with_small_model_alone(), score.slm.actors
        elif job.keep_predictions is not None and score.slm.actors:
            n_slm_actors = min(score.slm.actors, len(rows))
            dataset = _map_with_actors(dataset, job.with_small_model_alone(), n_slm_actors)
            job = replace(job, models=("llm",))
        for row in _map_with_actors(dataset, job, min(n_actors, len(rows))).iter_rows():
            if row["failure"]:
                raise JobError(row["failure"])
            yield PredictedUnit(int(row["amount"]), int(row["not_finite"]))


def _map_with_actors(dataset: ray.data.Dataset, job: PredictionJob, n_actors: int) -> ray.data.Dataset:
    score = job.config.score
    remote_options: Any = {
        "num_cpus": score.cpus,
        "num_gpus": score.gpus or None,
        # Ray's default is to restart an actor any number of times.
        "max_restarts": score.max_restarts,
        "max_task_retries": -1,
    }
    actor_class: Any = UnitPredictor  # Ray's types accept only classes whose constructor has no arguments
    return dataset.map(
        actor_class,
        fn_constructor_kwargs={"job": job},
        compute=ray.data.ActorPoolStrategy(size=n_actors),
        **remote_options,
    )


def fuse_scored_units(unit_names: Sequence[str], files: UnitFiles, gate: Gate) -> Iterator[FusedUnit]:
    """Fuse kept predictions with processes that hold no model; yield what is known about each unit.

    Raises JobError if a unit could not be read or written.
    """
    if not unit_names:
        return
    rows = [{"unit": name} for name in unit_names]
    n_processes = min(len(rows), max(1, int(ray.cluster_resources().get("CPU", 1))))
    dataset: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    fuser_class: Any = ScoredUnitFuser  # Ray's types accept only classes whose constructor has no arguments
    results = dataset.map(
        fuser_class,
        fn_constructor_kwargs={"files": files, "gate": gate},
        compute=ray.data.ActorPoolStrategy(size=n_processes),
        num_cpus=1,
        max_restarts=_MAX_FUSER_RESTARTS,
        max_task_retries=-1,
    )
    for row in results.iter_rows():
        if row["failure"]:
            raise JobError(row["failure"])
        written = row["written"]
        yield FusedUnit(row["unit"], written and PredictedUnit(int(written["amount"]), int(written["not_finite"])))
