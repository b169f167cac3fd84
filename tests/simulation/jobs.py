"""Tagging jobs in a simulated world: the real `tag_corpus`, started until it is done."""

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from rayner.cli import exit_codes
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import IndexConfig, LlmConfig, SlmConfig
from rayner.config.settings import Config, GateConfig, ScoreConfig, TagConfig
from rayner.corpus.corrections.correction import CORRECTIONS_FILE
from rayner.decoding import engine
from rayner.errors import RaynerError
from rayner.modeling import devices
from rayner.runs.run_folder import Run
from rayner.runs.storage import storage_path
from rayner.steps import llm_loading
from rayner.steps.tag.recovery import forget_set_aside_units
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.tag.verify import find_problems_and_counts
from tests.simulation import models
from tests.simulation.environment import clear_caches, simulated_environment
from tests.simulation.scheduler import Process, ProcessDied
from tests.simulation.system_calls import ROOT
from tests.simulation.world import World

RUN, CORPUS, OUT = "run", "corpus", "tagged"  # folders below the root
UNIT_CHARS = 48


def make_config(
    *, n_actors: int = 2, max_set_aside: float = 1.0, exact_gate: bool = True, corrected: bool = False
) -> Config:
    """Return the settings of a tagging job."""
    corrections = f"{ROOT}/{RUN}/{CORRECTIONS_FILE}" if corrected else None
    return Config(
        run=f"{ROOT}/{RUN}",
        corpus=CorpusConfig(f"{ROOT}/{CORPUS}"),
        out=f"{ROOT}/{OUT}",
        device="cpu",
        slm=SlmConfig(family=models.PLUGIN_NAME),
        index=IndexConfig(encoder="ngrams"),
        llm=LlmConfig(examples="none"),
        score=ScoreConfig(actors=n_actors, unit_chars=UNIT_CHARS),
        tag=TagConfig(max_set_aside=max_set_aside, corrections=corrections),
        gate=GateConfig(exact=exact_gate),
    )


@dataclass
class Job:
    """A job that was started.

    code: the exit code, or None if the job was killed.
    crash: the traceback of an error that the job did not turn into a message.
    message: the message of the error that ended the job.
    """

    config: Config
    process: Process | None = None
    is_done: bool = False
    code: int | None = None
    crash: str = ""
    message: str = ""


def start_job(world: World, name: str, config: Config, *, retries_set_aside: bool = False) -> Job:
    """Start a job that tags the corpus.

    retries_set_aside: whether it is a job with `--retry-set-aside`.
    """
    job = Job(config)

    def tag() -> None:
        run = Run(storage_path(config.run))
        try:
            if retries_set_aside:
                forget_set_aside_units(config, run)
            tag_corpus(config, run)
        except RaynerError as error:
            job.message = str(error)
            raise

    def call() -> None:
        clear_caches()
        try:
            job.code = exit_codes.call_and_return_exit_code(tag)
        except SystemExit as error:
            job.code = int(str(error.code))
        except Exception:
            job.code, job.crash = 1, traceback.format_exc()

    def act() -> None:
        assert job.process is not None
        try:
            call()
        except ProcessDied:
            job.code = None
        finally:
            if not job.process.alive:
                job.code = None
            elif job.code is not None:
                world.kill(job.process)
            job.is_done = True

    job.process = world.start_process(name, act)
    return job


def verify_corpus(world: World) -> list[str]:
    """Return what `rayner verify` finds wrong with the tagged corpus."""
    problems: list[str] = []
    ended: list[bool] = []

    def verify() -> None:
        clear_caches()
        try:
            problems.extend(
                find_problems_and_counts(storage_path(f"{ROOT}/{OUT}"), Run(storage_path(f"{ROOT}/{RUN}")))[0]
            )
        except RaynerError as error:
            problems.append(str(error))
        finally:
            ended.append(True)

    world.start_process("verify", verify)
    world.run(lambda: bool(ended))
    return problems


@contextmanager
def simulated_jobs() -> Iterator[None]:
    """Replace what jobs need besides the file system: the models, clocks, threads and Ray."""
    with ExitStack() as stack:
        stack.enter_context(simulated_environment())
        stack.enter_context(patch.object(exit_codes, "print", lambda *_, **__: None, create=True))
        stack.enter_context(patch.object(llm_loading, "load_llm", lambda config, run: None))
        stack.enter_context(patch.object(engine, "make_engine", lambda *_, **__: models.AnswerEngine()))
        stack.enter_context(patch.object(devices, "set_torch_threads", lambda _: None))
        yield
