"""Ctrl-C ends a job soon, whatever its libraries make of the signal. tests/cluster/test_interrupts.py has real jobs."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from rayner.cluster.interrupts import end_soon_after_sigint, raise_if_interrupted
from rayner.runs.json_files import read_json
from tests.test_layers import ROOT

LINE = "interrupted; rerun the same command to resume\n"
JOB = """import signal, subprocess, sys, time
from pathlib import Path
from rayner.cli.exit_codes import call_and_return_exit_code
from rayner.cluster.interrupts import end_soon_after_sigint, keep_keyboard_interrupt
from rayner.runs.progress import write_status_while_running

def wait():
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        print(child.pid, flush=True)
        time.sleep(60)
    except BaseException:
        child.kill()
        raise

def orderly():
    try:
        wait()
    finally:
        print("cleans up", file=sys.stderr)

def swallowed():
    while True:
        try:
            wait()
        except KeyboardInterrupt:
            print("goes on", file=sys.stderr)

def other_error():
    try:
        wait()
    except KeyboardInterrupt:
        raise ValueError("a worker died")

def other_handler():
    signal.signal(signal.SIGINT, lambda *_: time.sleep(0.1) or print("Gracefully aborting"))
    wait()

def exits_with_0():
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    wait()

def job():
    with end_soon_after_sigint(), write_status_while_running(Path.cwd(), "job"), keep_keyboard_interrupt():
        globals()[sys.argv[1]]()

sys.exit(call_and_return_exit_code(job))
"""


@pytest.mark.parametrize("mode", ["orderly", "swallowed", "other_error", "other_handler", "exits_with_0"])
def test_a_sigint_ends_the_process_with_130_and_one_line(tmp_path, mode):
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, mode], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)  # not to the child
    start = time.monotonic()
    out, error = process.communicate(timeout=30)
    assert time.monotonic() - start < 10  # 5 on a machine without other work; tests/cluster/test_interrupts.py measures
    assert (process.returncode, out, error) == (130, "", LINE)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert read_json(tmp_path / "status.json")["state"] == "stopped"


def test_without_a_sigint_nothing_changes():
    before = signal.set_wakeup_fd(-1)
    threads = threading.active_count()
    with end_soon_after_sigint():
        raise_if_interrupted()
    with pytest.raises(ValueError, match="as before"), end_soon_after_sigint():
        raise ValueError("as before")
    assert signal.set_wakeup_fd(-1) == before
    for _ in range(100):
        if threading.active_count() == threads:
            return
        time.sleep(0.05)
    pytest.fail("the thread did not end")
