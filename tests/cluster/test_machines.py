"""The main job on two machines that share a folder and nothing else, started by hand as `docs/cluster.md` says.

The second is made of Linux namespaces: it has a name, an address, processes, memory and temporary files of its own, and
neither the clone nor rayner. Making it needs root.
"""

import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rayner.runs.json_files import read_json
from tests.cluster.nodes import SMALL, head_node, started
from tests.cluster.small import LESS, ROOT, SAMPLE, rows_of, run_job, write_llm
from tests.docs.conftest import write_user_modules
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.drill]

FIRST, SECOND, NAME = "198.18.77.1", "198.18.77.2", "rayner2"  # a network that RFC 2544 keeps for tests
SETTINGS = [
    "train=labelled.jsonl", "layout=my_reader:doccano", "slm.family=my_tagger:COUNTS", "fusion.rules=my_rule:BY_TYPE",
    "llm.full_epochs=0", "llm.epochs=1", "llm.workers.count=2", "score.actors=2",
]  # fmt: skip


@contextmanager
def cable():
    """A network between this machine and one to be, which is called NAME."""

    def ip(command):
        subprocess.run(["ip", *command.split()], check=True)

    subprocess.run(["ip", "netns", "delete", NAME], capture_output=True, check=False)  # left by tests that were killed
    ip(f"netns add {NAME}")
    try:
        ip(f"link add {NAME}a type veth peer name {NAME}b netns {NAME}")
        for where, name, address in (("", f"{NAME}a", FIRST), (f"-netns {NAME} ", f"{NAME}b", SECOND)):
            ip(f"{where}addr add {address}/24 dev {name}")
            ip(f"{where}link set {name} up")
        ip(f"-netns {NAME} link set lo up")
        yield
    finally:
        ip(f"netns delete {NAME}")  # and the cable with it


def on_the_second(command, hidden):
    """The command that runs another there, where these folders are empty ones of its own."""
    mounts = "".join(f"mount -t tmpfs none {folder}; " for folder in ["/dev/shm", *hidden])
    namespaces = "--mount --uts --ipc --pid --fork --mount-proc --kill-child"
    script = f"hostname {NAME}; {mounts}exec {command}"
    return ["ip", "netns", "exec", NAME, "unshare", *namespaces.split(), "sh", "-ec", script]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The shared folder, with a corpus and the LLM."""
    folder = tmp_path_factory.mktemp("shared")
    write_llm(folder / "llm")
    book = next((SAMPLE / "corpus").rglob("*.txt")).read_text(encoding="utf-8")
    (folder / "corpus").mkdir()
    for i in range(4):
        (folder / "corpus" / f"{i}.txt").write_text(book[600 * i : 600 * (i + 1)], encoding="utf-8", newline="")
    return folder


@pytest.fixture(scope="module")
def machines(bare, clone, shared):
    """The head node, and the second machine's files as they are found from here."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("making a machine needs root, iproute2 and util-linux")
    head_is = [f"--node-ip-address={FIRST}", "--port=6399", "--num-cpus=1"]
    with cable(), head_node(bare, clone, *head_is) as head:
        start = f"ray start --address={FIRST}:6399 --num-cpus=1 {SMALL}"
        command = on_the_second(start, [ROOT / "rayner", clone, head.temporary])
        with started(command, head.env, shared / "second.log") as second:
            told = ["status", "--address", f"{FIRST}:6399"]
            assert eventually(lambda: "/2.0 CPU" in head.ray(*told).stdout, 60), (shared / "second.log").read_text()
            inner = psutil.Process(second.pid).children(recursive=True)[-1].pid
            yield head, Path(f"/proc/{inner}/root")


def test_two_machines_make_what_one_makes(machines, shared, clone, tmp_path):
    head, second = machines
    write_user_modules(clone, 300)  # travels with the job
    paths = [f"corpus={shared / 'corpus'}", f"llm.model={shared / 'llm'}"]
    job = shlex.join(["python", "jobs/pipeline.py", "--config", "jobs/conf/laptop.yaml", *LESS, *SETTINGS, *paths])
    done = head.submit("two", f"{job} run={shared / 'run'}")
    assert done.returncode == 0, head.log("two")

    write_user_modules(tmp_path, 300)
    alone = run_job(tmp_path, *SETTINGS, *paths, "run=run")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    for table in ("documents", "segments", "entities"):
        assert rows_of(shared / "run/tagged", table) == rows_of(tmp_path / "run/tagged", table)
    assert len(rows_of(shared / "run/tagged", "entities")) > 10
    assert read_json(shared / "run/fusion.json") == read_json(tmp_path / "run/fusion.json")

    [sent] = second.glob(f"{str(head.temporary)[1:]}/session_2*/runtime_resources/working_dir_files/*/my_tagger.py")
    assert sent.read_bytes() == (clone / "my_tagger.py").read_bytes()


def test_the_doctor_brings_rayner_along_and_sees_what_lies_on_one_machine_alone(machines, shared, clone):
    head, _ = machines
    (Path(head.env["HOME"]) / ".ray" / "auth_token").chmod(0o600)
    settings = [*LESS, "llm.workers.count=2", "score.actors=2", "train=sample/labelled.txt", f"run={shared / 'asked'}"]
    asked = ["doctor", "--address", f"{FIRST}:6399", "--config", "jobs/conf/laptop.yaml", *settings]
    called = ["python", "-m", "rayner", *asked]
    done = subprocess.run(called, capture_output=True, text=True, cwd=clone, env=head.env, check=False, timeout=300)
    assert done.returncode == 2
    [wrong] = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert f"{clone / 'sample/labelled.txt'}: expected the same on every node" in wrong
    assert f"on {FIRST}; nothing on {SECOND}" in wrong
    assert "\nok   versions: alike on 2 nodes: " in done.stdout
