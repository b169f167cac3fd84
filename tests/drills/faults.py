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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from rayner.runs.storage import storage_path
from tests.cluster.nodes import free_port
from tests.drills.ground import TABLES, Ground, Watched, files_of


def wait(job: Watched, seconds: float) -> None:
    """Until the moment of the fault, or the end of the job."""
    deadline = time.monotonic() + seconds
    while job.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def killed_worker(ground: Ground, out: str, moment: float, draw: random.Random, actors: bool, began: Counter) -> bool:
    """SIGKILL an actor, or a Ray worker process that waits for work; whether there was one."""
    with ground.job(out) as job:
        wait(job, moment)
        hit = False
        while job.process.poll() is None and not hit:
            for victim in draw.sample(found, len(found)) if (found := ground.nodes.workers(actors)) else []:
                try:
                    victim.send_signal(signal.SIGKILL)
                    hit = True
                    break
                except psutil.Error:
                    continue
            time.sleep(0.005)
        job.process.wait(timeout=300)
    began.update(job.began)
    return hit


def signalled(ground: Ground, out: str, moment: float, number: int, began: Counter) -> bool:
    """Send a signal to the driver."""
    with ground.job(out) as job:
        wait(job, moment)
        hit = job.process.poll() is None
        job.process.send_signal(number)
        job.process.wait(timeout=120)
    began.update(job.began)
    return hit


def lost_node(ground: Ground, out: str, moment: float, began: Counter) -> bool:
    """SIGKILL the raylet of the second node."""
    with ground.job(out) as job:
        wait(job, moment)
        hit = job.process.poll() is None
        ground.nodes.raylets[1].send_signal(signal.SIGKILL)
        try:
            job.process.wait(timeout=300)
        finally:
            began.update(job.began)
    ground.nodes.put_back()
    return hit


def full_disk(ground: Ground, out: str, share: float, began: Counter) -> bool:
    """Tag into a file system that holds but this share of what is written, then enlarge it."""
    page = os.sysconf("SC_PAGE_SIZE")  # of which a tmpfs gives each file whole ones
    needed = sum(-(-len(content) // page) * page for content in ground.files.values())
    Path(out).mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(needed * share)}", "drill", out], check=True)
    with ground.job(out) as job:
        hit = job.process.wait(timeout=300) == 1 and "no space is left" in job.log.read_text()
    began.update(job.began)
    subprocess.run(["mount", "-o", f"remount,size={8 * needed}", out], check=True)
    return hit


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


def cut_store(ground: Ground, out: str, moment: float, seconds: float, wire: Wire, settings: dict[str, str]) -> bool:
    """Cut the way to the object store for a while."""
    with ground.job(out, **settings) as job:
        wait(job, moment)
        hit = job.process.poll() is None
        wire.sever()
        wait(job, seconds)
        wire.cut = False
        job.process.wait(timeout=300)
    return hit


def tagged_files(out: str) -> dict[str, bytes]:
    """What was tagged, in a folder or in an object store."""
    if "://" not in out:
        return files_of(Path(out))
    root = storage_path(out)
    names = [name for table in TABLES for name in root.fs.find((root / table).path)]
    return {name.removeprefix(root.path).strip("/"): root.fs.cat_file(name) for name in names}


def clear(out: str) -> None:
    """Take away what a drill has tagged."""
    if "://" not in out:
        subprocess.run(["umount", out], capture_output=True)
        shutil.rmtree(out, ignore_errors=True)
