"""Ray's token is readable by its owner alone, or the user is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rayner.cluster.auth_token import (
    is_remote_address,
    keep_new_token_private,
    require_private_token_file,
    warn_if_others_read_token,
)
from rayner.errors import ConfigError

ROOT = Path(__file__).parents[2]
SESSION = """
from rayner.cli.exit_codes import call_and_return_exit_code
from rayner.cluster.session import ray_session
from rayner.runs.job_log import start_logging

def connect():
    with ray_session():
        print("connected")

start_logging()
raise SystemExit(call_and_return_exit_code(connect))
"""


@pytest.fixture
def token(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("0" * 64)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o777, 0o601])
def test_a_token_that_others_read_is_warned_of_and_refused(token, mode, caplog):
    token.chmod(mode)
    said = (
        f"{token}: expected a file that only its owner can read (mode 600), found mode {mode:o}: run chmod 600 {token}"
        ", because whoever reads the token can run code as you"
    )
    warn_if_others_read_token()
    assert said in caplog.text
    with pytest.raises(ConfigError, match=re.escape(said)):
        require_private_token_file()


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_token_is_in_order(token, mode, caplog):
    token.chmod(mode)
    warn_if_others_read_token()
    require_private_token_file()
    assert caplog.text == ""


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_token_is_made_private_and_one_that_exists_is_left_alone(token, exists):
    if not exists:
        token.unlink()
    with keep_new_token_private():
        token.write_text("0" * 64)
        token.chmod(0o644)
    assert token.stat().st_mode & 0o777 == (0o644 if exists else 0o600)


def test_where_ray_writes_no_token_there_is_nothing_to_keep_private(token, monkeypatch):
    token.unlink()
    with keep_new_token_private():
        pass
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with keep_new_token_private():
        pass
    assert not token.exists()


def test_the_token_that_ray_does_not_read_does_not_matter(token, monkeypatch, caplog):
    token.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    require_private_token_file()
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token.parent / "none"))
    require_private_token_file()
    warn_if_others_read_token()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("address", "remote"),
    [("", False), ("auto", False), ("local", False), ("localhost:6379", False), ("127.0.0.1:6379", False),
     ("127.0.0.1", False),
     ("127.8.8.8:1", False), ("[::1]:6379", False), ("ray://127.0.0.1:10001", False), ("10.255.255.1:6379", True),
     ("head:6379", True), ("ray://head:10001", True), ("[2001:db8::1]:6379", True), ("head", True)],
)  # fmt: skip
def test_what_is_another_machine(address, remote):
    assert is_remote_address(address) is remote


def test_the_addresses_of_this_machine_are_not_remote():
    own = [
        each.address for entries in psutil.net_if_addrs().values() for each in entries if each.family.name == "AF_INET"
    ]
    assert own
    assert not any(is_remote_address(f"{address}:6379") for address in own)


def test_no_process_joins_another_machine_with_an_open_token(token):
    token.chmod(0o644)
    env = {**os.environ, "RAY_ADDRESS": "10.255.255.1:6379", "PYTHONPATH": str(ROOT)}
    code = [sys.executable, "-c", SESSION]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, env=env, check=False, timeout=100)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: {token}: expected a file that only its owner can read (mode 600), found mode 644"
    )
    assert "connected" not in done.stdout
    doctor = [sys.executable, "-m", "rayner", "doctor"]
    done = subprocess.run(
        doctor,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**env, "RAY_ADDRESS": "head.invalid"},
        check=False,
        timeout=100,
    )
    assert done.returncode == 2
    assert done.stdout.startswith("FAIL token: ")
    assert "found mode 644" in done.stdout


@pytest.mark.slow
@pytest.mark.drill
def test_a_local_ray_warns_once_and_works(token):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    code = [sys.executable, "-c", SESSION]
    for mode, warnings in ((0o644, 1), (0o600, 0)):
        token.chmod(mode)
        done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, env=env, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("expected a file that only its owner can read") == warnings
        assert "connected" in done.stdout
