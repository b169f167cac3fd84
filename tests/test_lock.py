"""One job a folder; what a dead one leaves behind does not hold up the next."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rayner.errors import ConfigError
from rayner.runs.lock import LOCK_FILE, hold_lock
from rayner.runs.storage import storage_path

HOLDER = """
import sys, time
from rayner.runs.lock import hold_lock
from rayner.runs.storage import storage_path
with hold_lock(storage_path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_lock_is_there_while_the_block_runs_and_gone_afterwards(tmp_path):
    with hold_lock(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run" / LOCK_FILE).exists()
    with pytest.raises(ValueError, match="within"), hold_lock(tmp_path / "run"):
        raise ValueError("within")
    assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_a_second_job_is_refused_at_once_naming_the_first(tmp_path, holder):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=f"{tmp_path}.*locked by process {holder.pid} on "), hold_lock(tmp_path):
        pytest.fail("two jobs in one folder")
    assert time.monotonic() - begun < 1
    assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == holder.pid


@pytest.mark.slow
def test_of_many_that_begin_at_once_one_gets_it(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", HOLDER.replace("60", "3"), str(tmp_path)], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
        for _ in range(6)
    ]  # fmt: skip
    said = [process.communicate()[0] for process in started]
    assert said.count("held\n") == 1
    assert said.count("") == 5


def test_a_job_that_was_killed_does_not_block(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_FILE).exists()
    begun = time.monotonic()
    with hold_lock(tmp_path):
        assert time.monotonic() - begun < 1


def elsewhere(path, **values):
    """A lock as a job on another machine holds it."""
    owner = {"owner": "x", "host": "far", "machine": "far 1", "pid": 1, "started": 0.0, "beat": 0, **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(owner))


@pytest.mark.slow
def test_a_lock_from_another_machine_that_nobody_renews_is_taken_after_a_while(tmp_path):
    elsewhere(tmp_path / LOCK_FILE)
    begun = time.monotonic()
    with hold_lock(tmp_path, renew_seconds=0.3):
        assert 0.8 < time.monotonic() - begun < 3


@pytest.mark.slow
def test_one_that_is_renewed_is_not(tmp_path):
    elsewhere(tmp_path / LOCK_FILE)
    code = f"import time; time.sleep(0.5); p = {str(tmp_path / LOCK_FILE)!r}; s = open(p).read()"
    code += "; open(p + '.n', 'w').write(s.replace('\"beat\": 0', '\"beat\": 1')); import os; os.rename(p + '.n', p)"
    other = subprocess.Popen([sys.executable, "-c", code])
    with pytest.raises(ConfigError, match="process 1 on far"), hold_lock(tmp_path, renew_seconds=1.0):
        pytest.fail("taken from a living job")
    other.wait()


def test_a_job_that_loses_its_lock_is_ended(tmp_path):
    code = HOLDER.replace(
        "hold_lock(storage_path(sys.argv[1]))", "hold_lock(storage_path(sys.argv[1]), renew_seconds=0.2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    elsewhere(tmp_path / LOCK_FILE, owner="another")
    assert process.wait(timeout=10) == -signal.SIGTERM
    assert json.loads((tmp_path / LOCK_FILE).read_text())["owner"] == "another"


@pytest.mark.slow
def test_in_an_object_store_too():
    folder = storage_path("memory://locks/run")
    with hold_lock(folder, renew_seconds=0.2):
        time.sleep(0.7)
        assert json.loads((folder / LOCK_FILE).read_text())["beat"] > 0
        with pytest.raises(ConfigError, match=f"process {os.getpid()}"), hold_lock(folder, renew_seconds=0.2):
            pytest.fail("two jobs in one folder")
    assert not (folder / LOCK_FILE).exists()
