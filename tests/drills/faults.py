"""The faults, each a function that disturbs a job under way and gives what was tagged in the end."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from rayner.runs.storage import storage_path
from tests.cluster.nodes import free_port
from tests.cluster.small import TAGGED_FOLDERS, files_of
from tests.drills.ground import Ground, Watched


def wait(job: Watched, seconds: float) -> None:
    """Until the moment of the fault, or the end of the job."""
    deadline = time.monotonic() + seconds
    while job.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def wait_for_units(job: Watched, n: int, draw: random.Random) -> None:
    """Until the job has begun so many stages of units, and a moment more; or until its end."""
    while job.process.poll() is None and job.began.total() < n:
        time.sleep(0.002)
    wait(job, draw.uniform(0, 0.3))


def _strike_in_one_job(
    ground: Ground,
    out: str,
    kills: int,
    draw: random.Random,
    began: Counter,
    strike: Callable[[Watched], bool],
    *overrides: str,
    timeout: float = 600,
) -> int:
    """Strike one job again and again until it ends; how often it was struck. The first fault comes over unit 0."""
    hits = 0
    with ground.job(out, *overrides) as job:
        while hits < kills and job.process.poll() is None:
            wait_for_units(job, job.began.total() + draw.randint(1, 12) if hits else 1, draw)
            if job.process.poll() is None:
                hits += strike(job)
        job.process.wait(timeout=timeout)
    began.update(job.began)
    return hits


def killed_workers(ground: Ground, out: str, kills: int, draw: random.Random, actors: bool, began: Counter) -> int:
    """SIGKILL actors, or Ray worker processes that wait for work, in one job; how many were killed."""
    return _strike_in_one_job(ground, out, kills, draw, began, lambda job: _kill_one(ground, job, draw, actors))


def _kill_one(ground: Ground, job: Watched, draw: random.Random, actors: bool, number: int = signal.SIGKILL) -> bool:
    while job.process.poll() is None:
        for victim in draw.sample(found, len(found)) if (found := ground.nodes.workers(actors)) else []:
            try:
                victim.send_signal(number)
                return True
            except psutil.Error:
                continue
        time.sleep(0.005)
    return False


def stopped_actors(ground: Ground, out: str, kills: int, draw: random.Random, began: Counter) -> int:
    """SIGSTOP actors in one job, which must find this out by itself; how many were stopped."""

    def stop(job: Watched) -> bool:
        return _kill_one(ground, job, draw, True, signal.SIGSTOP)

    return _strike_in_one_job(ground, out, kills, draw, began, stop, "tag.stall_minutes=0.1", timeout=900)


def signalled(ground: Ground, out: str, kills: int, draw: random.Random, number: int, began: Counter) -> int:
    """Send a signal to the driver, give the command again, and so on; how many drivers it struck.

    The first is struck over unit 0.
    """
    hits = 0
    for kill in range(kills):
        with ground.job(out) as job:
            wait_for_units(job, draw.randint(1, 2 * ground.units // kills) if kill else 1, draw)
            hits += job.process.poll() is None
            job.process.send_signal(number)
            job.process.wait(timeout=120)
        began.update(job.began)
    return hits


def paused(ground: Ground, out: str, kills: int, draw: random.Random, began: Counter) -> int:
    """Stop the driver for some seconds and let it go on, several times, as a laptop that is closed."""

    def pause(job: Watched) -> bool:
        job.process.send_signal(signal.SIGSTOP)
        time.sleep(draw.uniform(1, 12))
        job.process.send_signal(signal.SIGCONT)
        return True

    return _strike_in_one_job(ground, out, kills, draw, began, pause)


def lost_nodes(ground: Ground, out: str, kills: int, draw: random.Random, began: Counter) -> int:
    """SIGKILL the raylet of the second node, put a new one in its place, and so on; how many were killed."""

    def lose_node(_: Watched) -> bool:
        ground.nodes.raylets[1].send_signal(signal.SIGKILL)
        ground.nodes.put_back()
        return True

    return _strike_in_one_job(ground, out, kills, draw, began, lose_node)


def full_disk(ground: Ground, out: str, kills: int, draw: random.Random, began: Counter) -> int:
    """Tag into a file system that is too small, enlarge it a little, and so on; how often it was full."""
    page = os.sysconf("SC_PAGE_SIZE")  # of which a tmpfs gives each file whole ones
    needed = sum(-(-len(content) // page) * page for content in ground.files.values())
    Path(out).mkdir()
    shares = sorted(draw.uniform(0.1, 0.8) for _ in range(kills))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(needed * shares[0])}", "drill", out], check=True)
    hits = 0
    for share in shares:
        subprocess.run(["mount", "-o", f"remount,size={int(needed * share)}", out], check=True)
        with ground.job(out) as job:
            hits += job.process.wait(timeout=300) == 1 and "no space is left" in job.log.read_text()
        began.update(job.began)
    subprocess.run(["mount", "-o", f"remount,size={8 * needed}", out], check=True)
    return hits


def can_mount(folder: Path) -> bool:
    """Whether this process may mount file systems."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "drill", str(folder)], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)
    return done.returncode == 0


class Wire:
    """A way to a server that can be cut."""

    def __init__(self, to: int) -> None:
        self.to, self.port, self.cut = to, free_port(), False
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listening.accept()
            if self.cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.to))
            self._open |= {near, far}
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()
            self._open.discard(end)

    def sever(self) -> None:
        """Break all connections, and take no more until `cut` is false again."""
        self.cut = True
        for end in list(self._open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@contextmanager
def object_store() -> Iterator[tuple[Wire, dict[str, str]]]:
    """An S3 server with a bucket `drill`, behind a wire; and the environment of those who use it."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wire = Wire(port)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{wire.port}",
        "AWS_ACCESS_KEY_ID": "drill",
        "AWS_SECRET_ACCESS_KEY": "drill",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(environment)
    try:
        _make_bucket(port)
        yield wire, environment
    finally:
        server.kill()
        server.wait()


def _make_bucket(port: int) -> None:
    import boto3

    for _ in range(100):
        try:
            boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="drill")
            return
        except Exception:
            time.sleep(0.2)
    raise RuntimeError("the S3 server did not start")


def cut_store(ground: Ground, out: str, kills: int, draw: random.Random, wire: Wire, settings: dict[str, str]) -> int:
    """Cut the way to the object store for a while, several times in one job; how often it was cut."""
    hits = 0
    with ground.job(out, **settings) as job:
        for _ in range(kills):
            wait(job, draw.uniform(0.2, 0.6) * ground.seconds)
            hits += job.process.poll() is None
            wire.sever()
            wait(job, draw.uniform(0.5, 5))
            wire.cut = False
        job.process.wait(timeout=600)
    return hits


def tagged_files(out: str) -> dict[str, bytes]:
    """What was tagged, in a folder or in an object store."""
    if "://" not in out:
        return files_of(Path(out))
    root = storage_path(out)
    names = [name for folder in TAGGED_FOLDERS for name in root.fs.find((root / folder).path)]
    return {name.removeprefix(root.path).strip("/"): root.fs.cat_file(name) for name in names}


def clear(out: str) -> None:
    """Take away what a drill has tagged."""
    if "://" not in out:
        subprocess.run(["umount", out], capture_output=True)
        shutil.rmtree(out, ignore_errors=True)
