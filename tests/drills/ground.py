"""Where drills take place: a Ray of two nodes, a trained run, a corpus, and what its undisturbed tagging looks like."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil
import yaml
from ray.cluster_utils import Cluster

from rayner.cluster.session import ray_session
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.settings import Config, ScoreConfig
from rayner.runs.run_folder import Run
from rayner.steps.pipeline import run_pipeline
from tests.cluster.small import SAMPLE, files_of, write_inputs

ROOT = Path(__file__).parents[2]
AGAIN = 4  # times that a job is given again at most


class Nodes:
    """Two Ray nodes on this machine; the second can be killed and put back."""

    def __init__(self) -> None:
        memory = {"object_store_memory": 256 * 1024**2}
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, **memory}
        )
        self._second = {"num_cpus": 2, **memory}
        self.second = self.cluster.add_node(**self._second)

    @property
    def raylets(self) -> list[psutil.Process]:
        """The processes that start workers, one a node."""
        nodes = [self.cluster.head_node, self.second]
        return [psutil.Process(node.all_processes["raylet"][0].process.pid) for node in nodes]

    def workers(self, actors: bool) -> list[psutil.Process]:
        """The processes that score (actors), or Ray's other workers: they wait for work, or keep its accounts.

        Without a node's agents, which no node outlives: losing a node is another drill.
        """
        found = []
        for raylet in self.raylets:
            for process in raylet.children(recursive=True):
                title = _title(process)
                if title.startswith("ray::") and "Agent" not in title and ("MapWorker" in title) == actors:
                    found.append(process)
        return found

    def put_back(self) -> None:
        """A new second node in the place of one that was killed."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(**self._second)
        self.cluster.wait_for_nodes()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@dataclass
class Watched:
    """A job under watch: which units it began in each stage, counted while they are noted."""

    process: subprocess.Popen
    out: Path | None
    log: Path
    began: Counter = field(default_factory=Counter)

    def watch(self) -> None:
        """Look until the job ends. A note that is written anew is one that another process left: begun again."""
        before = self._notes()
        again: set[str] = set()
        while self.process.poll() is None:
            now = self._notes()
            for name, inode in now.items():
                if name not in before:
                    self.began[name] += 1
                    again.discard(name)
                elif inode != before[name] and name not in again:
                    self.began[name] += 1
                    again.add(name)
            before = now
            time.sleep(0.004)

    def _notes(self) -> dict[str, int]:
        """The notes that lie there, with what changes when one is written anew."""
        try:
            with os.scandir(self.out / "attempts" if self.out else os.devnull) as found:
                return {item.name: item.inode() for item in found if item.name.startswith("unit-")}
        except (FileNotFoundError, NotADirectoryError):
            return {}


def _take_interrupts() -> None:
    """Let Ctrl-C reach the job also where a shell started the drills in the background and so ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Ground:
    """What all drills share."""

    folder: Path
    nodes: Nodes
    files: dict[str, bytes]
    seconds: float
    settings: Path
    code: int = 0  # of the job that was last under way

    @property
    def units(self) -> int:
        """The number of units of the corpus."""
        return sum(name.startswith("segments/") for name in self.files)

    @contextmanager
    def job(self, out: str, *overrides: str, **environment: str) -> Iterator[Watched]:
        """The job, under way, tagging into `out`."""
        log = self.folder / "job.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "jobs/tag_corpus.py", "--config", str(self.settings), f"out={out}", *overrides],
                cwd=ROOT,
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=_take_interrupts,
                env={**os.environ, "RAY_ADDRESS": self.nodes.cluster.address, "PYTHONPATH": str(ROOT), **environment},
            )
            watched = Watched(process, None if "://" in out else Path(out), log)
            thread = threading.Thread(target=watched.watch, daemon=True)
            thread.start()
            try:
                yield watched
            finally:
                process.kill()
                self.code = process.wait()
                thread.join()

    def finish(self, out: str, began: Counter, **environment: str) -> int:
        """Give the same command until it is done; how often that took."""
        for again in range(AGAIN):
            with self.job(out, **environment) as watched:
                code = watched.process.wait(timeout=300)
            began.update(watched.began)
            if code == 0:
                return again + 1
        raise AssertionError(f"exit code {code} after {AGAIN} times:\n{watched.log.read_text()[-3000:]}")


def config_of(folder: Path) -> Config:
    """A small run over the sample corpus three times."""
    config = write_inputs(folder)
    shutil.rmtree(folder / "corpus")
    for copy in range(3):
        shutil.copytree(SAMPLE / "corpus", folder / "corpus" / str(copy))
    return replace(config, score=ScoreConfig(actors=2, unit_chars=1500))


@contextmanager
def ground(folder: Path, trained: str | None = None) -> Iterator[Ground]:
    """Train a run, or take one that is trained; start the nodes, tag once undisturbed."""
    config = config_of(folder)
    if trained:
        config = replace(config, run=trained)
    else:
        with ray_session():
            run_pipeline(replace(config, corpus=CorpusConfig()), Run(Path(config.run)))
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump(asdict(config), allow_unicode=True), encoding="utf-8")
    nodes = Nodes()
    try:
        made = Ground(folder, nodes, {}, 0.0, settings)
        made.finish(str(folder / "warm"), Counter())
        begun = time.monotonic()
        made.finish(str(folder / "undisturbed"), Counter())
        made.seconds = time.monotonic() - begun
        made.files = files_of(folder / "undisturbed")
        yield made
    finally:
        nodes.cluster.shutdown()
