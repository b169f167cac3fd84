"""One job a folder; what a dead one leaves behind does not hold up the next, and no clock step frees a living one's."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.lock import LOCK_FILE, hold_lock
from rayner.runs.process_identity import is_running, machine_id, process_start
from rayner.runs.storage import storage_path
from tests.waiting import eventually

HOLDER = """
import os, sys, time
from rayner.runs import kernel_lock, lock, process_identity
from rayner.runs.lock import hold_lock
from rayner.runs.storage import storage_path
CHANGES
with hold_lock(storage_path(sys.argv[1]), renew_seconds=float(sys.argv[2])):
    print("held", flush=True)
    INSIDE
    time.sleep(60)
"""
# As another machine does it, whose kernel knows nothing of this one's locks.
ELSEWHERE = "lock.machine_id = lambda: 'another machine'; kernel_lock.fcntl.flock = lambda *args: None"


def start_holder(folder, renew=5.0, changes="", inside="", **more):
    code = HOLDER.replace("CHANGES", changes).replace("INSIDE", inside)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(renew)], stdout=subprocess.PIPE, text=True, **more
    )


@pytest.fixture
def start(tmp_path):
    """Start a process that holds the folder `run`."""
    started = []

    def start(folder=tmp_path / "run", **more):
        process = start_holder(folder, **more)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def read_lock(folder):
    return json.loads((folder / LOCK_FILE).read_bytes())


def refuse(folder, process, renew_seconds=5.0):
    """Assert that the lock is refused at once, and that its owner goes on."""
    begun = time.monotonic()
    with (
        pytest.raises(ConfigError, match=f"{folder}.*locked by process {process.pid} on .*: wait until that job"),
        hold_lock(folder, renew_seconds),
    ):
        pytest.fail("two jobs in one folder")
    assert time.monotonic() - begun < 1
    assert process.poll() is None


def test_the_lock_is_there_while_the_block_runs_and_gone_afterwards(run):
    with hold_lock(run):
        assert read_lock(run)["pid"] == os.getpid()
    assert not any(run.iterdir())
    with pytest.raises(ValueError, match="within"), hold_lock(run):
        raise ValueError("within")
    assert not any(run.iterdir())


def test_a_second_job_is_refused_at_once_naming_the_first(run, start):
    holder = start()
    refuse(run, holder)
    assert read_lock(run)["pid"] == holder.pid


def test_the_same_process_cannot_hold_it_twice(run):
    with hold_lock(run), pytest.raises(ConfigError, match=f"locked by process {os.getpid()} "), hold_lock(run):
        pytest.fail("two jobs in one folder")
    with hold_lock(run):
        pass


def test_a_process_that_could_not_remove_its_lock_file_can_take_the_lock_again(run, monkeypatch, caplog):
    """Once, the job was refused because of a lock of its own process."""

    def remove_file(path):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("rayner.runs.lock.remove_file", remove_file)
        with hold_lock(run):
            pass
    assert "lock.json: could not be removed" in caplog.text
    assert read_lock(run)["pid"] == os.getpid()
    with hold_lock(run):
        pass
    assert not any(run.iterdir())


@pytest.mark.slow
def test_of_many_that_begin_at_once_one_gets_it(run):
    started = [start_holder(run, inside="time.sleep(600)", stderr=subprocess.DEVNULL) for _ in range(6)]
    deadline = time.monotonic() + 120
    while sum(process.poll() is not None for process in started) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)  # the one that got it holds it until all others have ended, however slowly they start
    for process in started:
        process.kill()
    said = [process.communicate()[0] for process in started]
    assert said.count("held\n") == 1
    assert said.count("") == 5


def test_a_job_that_was_killed_does_not_block(run, start):
    holder = start()
    holder.kill()
    holder.wait()
    assert (run / LOCK_FILE).exists()
    begun = time.monotonic()
    with hold_lock(run):
        assert time.monotonic() - begun < 1


# ---- clocks, stopped processes, reused process numbers


def stepped_proc(folder: Path, seconds: int) -> Path:
    """Make a process table as the kernel shows it after the clock was set: the time of the boot moves with the clock.

    The starts of processes, in ticks since the boot, stay the same.
    """
    folder.mkdir()
    for entry in Path("/proc").iterdir():
        if entry.name != "stat":
            (folder / entry.name).symlink_to(entry)
    lines = Path("/proc/stat").read_text().splitlines()
    (folder / "stat").write_text(
        "".join(
            f"btime {int(line.split()[1]) + seconds}\n" if line.startswith("btime ") else f"{line}\n" for line in lines
        )
    )
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("seconds", [-86400 * 365, -1, 1, 86400 * 365])
def test_no_step_of_the_clock_frees_the_lock_of_a_living_job(run, tmp_path, start, seconds):
    """After the owner began, the clock of the machine is set by some seconds. Two real processes."""
    holder = start(renew=0.2)
    proc = stepped_proc(tmp_path / "proc", seconds)
    changes = f"import psutil; psutil.PROCFS_PATH = {str(proc)!r}; true = time.time"
    changes += f"; time.time = lambda: true() + {seconds}"
    second = start_holder(run, renew=0.2, changes=changes, stderr=subprocess.PIPE)
    out, error = second.communicate(timeout=60)
    assert out == ""
    assert f"locked by process {holder.pid} on" in error
    time.sleep(1)
    assert holder.poll() is None
    assert read_lock(run)["pid"] == holder.pid


def test_a_stopped_job_still_lives(run, start):
    holder = start(renew=0.1)
    os.kill(holder.pid, signal.SIGSTOP)
    beat = read_lock(run)["beat"]
    time.sleep(1)  # ten periods without renewal
    refuse(run, holder, renew_seconds=0.1)
    os.kill(holder.pid, signal.SIGCONT)
    assert eventually(lambda: read_lock(run)["beat"] > beat)
    assert holder.poll() is None


def test_a_stopped_job_still_lives_where_the_file_system_has_no_kernel_locks(run, start, monkeypatch):
    def refuse_flock(*_):
        raise OSError(95, "Operation not supported")

    holder = start(renew=0.1, changes="kernel_lock.KernelLock.acquire = lambda self: True")
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(1)
    monkeypatch.setattr("rayner.runs.kernel_lock.fcntl.flock", refuse_flock)
    refuse(run, holder, renew_seconds=0.1)
    holder.kill()
    holder.wait()
    with hold_lock(run, 0.1):
        assert read_lock(run)["pid"] == os.getpid()


def test_another_process_with_the_same_number_is_another_process(run):
    """The owner died; its number was given to a process that lives: this one."""
    run.mkdir()
    ticks = int(process_start(os.getpid()).split()[1])
    lock = {"owner": "x", "host": "here", "machine": machine_id(), "pid": os.getpid(), "start": f"ticks {ticks - 1}"}
    (run / LOCK_FILE).write_text(json.dumps(lock | {"beat": 3}))
    begun = time.monotonic()
    with hold_lock(run):
        assert time.monotonic() - begun < 1


def test_a_zombie_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    start = process_start(child.pid)
    assert is_running(child.pid, start) is True
    child.stdin.close()
    assert eventually(lambda: is_running(child.pid, start) is False)
    child.wait()
    assert is_running(child.pid, start) is False
    assert is_running(child.pid, "unix 12.5") is False


def test_where_only_unix_times_are_known_a_little_difference_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr("rayner.runs.process_identity._PROC", tmp_path)
    start = process_start(os.getpid())
    assert start.startswith("unix ")
    seconds = float(start.split()[1])
    assert is_running(os.getpid(), f"unix {seconds + 1.5}") is True
    assert is_running(os.getpid(), f"unix {seconds - 3}") is False
    assert is_running(os.getpid(), "ticks 5") is None
    assert is_running(os.getpid(), "unix x") is None
    assert machine_id() == machine_id() != ""


@pytest.mark.parametrize("seconds", [0, 0.4])
def test_a_child_of_a_killed_job_does_not_hold_its_lock(run, start, seconds):
    """A forked child has all open files of its parent until it closes them, which may take a moment."""
    late = f"close = os.close; os.close = lambda file: (time.sleep({seconds}), close(file))"
    child = "child = os.fork()\n    if not child: time.sleep(60)\n    print(child, flush=True)"
    holder = start(changes=late, inside=child)
    pid = int(holder.stdout.readline())
    holder.kill()
    holder.wait()
    try:
        os.kill(pid, 0)
        with hold_lock(run):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_forked_child_that_ends_leaves_the_lock_to_its_parent(run, start):
    child = "child = os.fork()\n    if not child: sys.exit()\n    os.waitpid(child, 0); print('waited', flush=True)"
    holder = start(inside=child)
    assert holder.stdout.readline() == "waited\n"
    assert read_lock(run)["pid"] == holder.pid
    refuse(run, holder)


# ---- what others do to the lock file


def damage(path, how, backup):
    if how == "deleted":
        path.unlink()
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        contents = {"emptied": b"", "half": backup[:20], "NULs": b"\0" * 99, "null": b"null", "restored": backup}
        path.write_bytes(contents[how])


HARMS = ("deleted", "emptied", "half", "NULs", "null", "restored")


@pytest.mark.parametrize("how", HARMS)
def test_a_living_job_writes_its_lock_again(run, start, how):
    start().kill()
    assert eventually((run / LOCK_FILE).exists)
    backup = (run / LOCK_FILE).read_bytes()  # of a job that has ended
    time.sleep(0.1)
    holder = start(renew=0.3)
    damage(run / LOCK_FILE, how, backup)
    with pytest.raises(ConfigError, match="locked by "), hold_lock(run):
        pytest.fail("two jobs in one folder")
    assert eventually(lambda: (run / LOCK_FILE).exists() and (run / LOCK_FILE).read_bytes() not in (b"", backup))
    assert eventually(lambda: b'"pid"' in (run / LOCK_FILE).read_bytes())
    assert read_lock(run)["pid"] == holder.pid
    refuse(run, holder)


@pytest.mark.parametrize("how", [how for how in HARMS if how not in ("deleted", "restored")])
def test_a_damaged_lock_of_nobody_is_taken_with_a_line_in_the_log(run, how, caplog):
    run.mkdir()
    damage(run / LOCK_FILE, how, b'{"owner": "x", "host": "here"}')
    begun = time.monotonic()
    with caplog.at_level(logging.INFO, "rayner"), hold_lock(run, renew_seconds=0.2):
        assert 0.5 < time.monotonic() - begun < 5
        assert read_lock(run)["pid"] == os.getpid()
    assert "lock.json: found; waits to see whether another job renews it" in caplog.text
    assert "lock.json: taken over, because it was not renewed; it named nobody: it is damaged" in caplog.text


def test_a_folder_in_place_of_the_lock_is_one_clear_error(run):
    (run / LOCK_FILE).mkdir(parents=True)
    with (
        pytest.raises(DamagedFileError, match=r"lock\.json: expected JSON, found a folder: .*delete it"),
        hold_lock(run),
    ):
        pytest.fail("taken")


def test_a_folder_in_place_of_the_lock_does_not_end_the_job(run, start):
    holder = start(renew=0.1)
    damage(run / LOCK_FILE, "a folder", b"")
    time.sleep(1)
    assert holder.poll() is None
    with pytest.raises(ConfigError, match=r"locked by another process, which lock\.json does not name"), hold_lock(run):
        pytest.fail("two jobs in one folder")
    (run / LOCK_FILE).rmdir()
    assert eventually((run / LOCK_FILE).is_file)
    assert read_lock(run)["pid"] == holder.pid


def test_a_folder_that_was_replaced_ends_the_job_if_another_works_there(run, start, tmp_path):
    holder = start(renew=0.2)
    run.rename(tmp_path / "moved")
    with hold_lock(run, renew_seconds=0.2):
        assert holder.wait(timeout=10) == -signal.SIGTERM
        assert read_lock(run)["pid"] == os.getpid()


def test_a_folder_that_was_replaced_is_locked_again_if_nobody_works_there(run, start, tmp_path):
    holder = start(renew=0.2)
    run.rename(tmp_path / "moved")
    assert eventually((run / LOCK_FILE).is_file)
    refuse(run, holder)


# ---- other machines


def elsewhere(path, **values):
    """A lock as a job on another machine holds it."""
    owner = {"owner": "x", "host": "far", "machine": "far 1", "pid": 1, "start": "ticks 1", "beat": 0, **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(owner))


@pytest.mark.slow
def test_a_lock_from_another_machine_that_nobody_renews_is_taken_after_a_while(run, caplog):
    elsewhere(run / LOCK_FILE)
    begun = time.monotonic()
    with hold_lock(run, renew_seconds=0.3):
        assert 0.8 < time.monotonic() - begun < 4
    assert "taken over, because it was not renewed; it named process 1 on far" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, '{"a lock of another version": "beat'])
def test_one_that_is_renewed_is_not(run, content):
    path = run / LOCK_FILE
    elsewhere(path)
    if content:
        path.write_text(content)
    code = f"import time; time.sleep(0.5); p = {str(path)!r}; s = open(p).read()"
    code += "; open(p + '.n', 'w').write(s.replace('beat', 'beat ')); import os; os.rename(p + '.n', p)"
    other = subprocess.Popen([sys.executable, "-c", code])
    with pytest.raises(ConfigError, match="locked by "), hold_lock(run, renew_seconds=1.0):
        pytest.fail("taken from a living job")
    other.wait()


def test_a_job_that_loses_its_lock_to_another_machine_is_ended(run, start):
    holder = start(renew=0.2, stderr=subprocess.PIPE)
    elsewhere(run / LOCK_FILE, owner="another")
    assert holder.wait(timeout=10) == -signal.SIGTERM
    assert read_lock(run)["owner"] == "another"
    assert (
        "lost: this job did not renew it in time, and process 1 on far took it; this job ends" in holder.stderr.read()
    )


@pytest.mark.slow
@pytest.mark.parametrize("taker", ["works", "has ended", "was killed"])
def test_a_suspended_job_that_wakes_after_its_lock_was_taken_ends(run, start, taker):
    """Its machine was suspended. A job on this machine waited, took the lock, and works or has ended."""
    holder = start(renew=0.2, changes=ELSEWHERE)
    assert read_lock(run)["machine"] == "another machine"
    os.kill(holder.pid, signal.SIGSTOP)
    if taker == "was killed":
        second = start(renew=0.2)
        second.kill()
        second.wait()
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.wait(timeout=10) == -signal.SIGTERM
        return
    with hold_lock(run, renew_seconds=0.2):
        assert read_lock(run)["pid"] == os.getpid()
        if taker == "works":
            os.kill(holder.pid, signal.SIGCONT)
            assert holder.wait(timeout=10) == -signal.SIGTERM
            time.sleep(0.5)
            assert read_lock(run)["pid"] == os.getpid()
    if taker == "has ended":
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.wait(timeout=10) == -signal.SIGTERM
    assert not (run / LOCK_FILE).exists()


@pytest.mark.slow
def test_a_suspended_job_whose_lock_nobody_took_goes_on(run, start):
    holder = start(renew=0.2)
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(1)
    beat = read_lock(run)["beat"]
    os.kill(holder.pid, signal.SIGCONT)
    assert eventually(lambda: read_lock(run)["beat"] > beat + 1)
    assert holder.poll() is None


@pytest.mark.slow
def test_in_an_object_store_too():
    folder = storage_path("memory://locks/run")
    with hold_lock(folder, renew_seconds=0.2):
        time.sleep(0.7)
        assert read_lock(folder)["beat"] > 0
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"), hold_lock(folder, renew_seconds=0.2):
            pytest.fail("two jobs in one folder")
        (folder / LOCK_FILE).write_bytes(b"")
        assert eventually(lambda: (folder / LOCK_FILE).read_bytes() != b"")
        assert read_lock(folder)["pid"] == os.getpid()
    assert not (folder / LOCK_FILE).exists()
