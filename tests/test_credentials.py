"""Credentials in URLs are refused, whatever their form, and nothing prints or stores them."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rayner.cli import main
from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.running import run_job
from rayner.config.loading import load_config
from rayner.errors import ConfigError, DataError, JobError
from rayner.runs.error_messages import first_line, format_error
from rayner.runs.job_log import start_logging
from rayner.runs.progress import log, write_status_while_running
from rayner.runs.storage import storage_path
from rayner.text.credentials import hide_credentials, holds_credentials
from rayner.text.messages import shorten_repr

ROOT = Path(__file__).parents[1]
PARTS = ("KEYID7", "s3cr", "et9x")  # of the key and of the secret; none may be seen
SECRET_URLS = [
    "s3://KEYID7:s3cret9x@bucket/run",
    "s3://KEYID7:s3cr/et9x@bucket",
    "s3://KEYID7:s3cr/et9x@bucket/a@b/c",
    "s3://KEYID7:/s3cr/et9x/@bucket/run",
    "s3://KEYID7:s3cr+/=et9x%@bucket/run",
    "s3://KEYID7:s3cr@et9x@bucket/run",
    "s3://KEYID7:s3cr:et9x@bucket/run",
    "s3://KEYID7:s3cr?et9x#@bucket/run",
    "s3://KEYID7:s3cr et9x@bucket/run",
    "s3://KEYID7:s3cr\"et'9x@bucket/run",
    "s3://KEYID7:s3cr\net9x@bucket/run",
    "s3://KEYID7%3As3cr%2Fet9x%40bucket/run",
    "s3://KEYID7:s3cret9x%40bucket/run",
    "s3://KEYID7:s3cret9x",
    "s3://KEYID7@bucket/run",
    "S3A://KEYID7:s3cr/et9x@bucket/run",
    "gs://KEYID7:s3cr/et9x@bucket",
    "https://KEYID7:s3cret9x@host:8080/x",
    "hdfs://KEYID7:s3cret9x@host/x",
    "simplecache::s3://KEYID7:s3cr/et9x@bucket/run",
    "s3:///KEYID7:s3cret9x@bucket",
    "abfss://KEYID7:s3cret9x@account.dfs.core.windows.net/x",
    "s3://bucket/run?aws_access_key_id=KEYID7&aws_secret_access_key=s3cret9x",
    "s3://bucket/run?key=KEYID7&secret=s3cr/et9x",
    "s3://bucket/run?AWS_SECRET_ACCESS_KEY=s3cret9x",
    "s3://bucket/run?x=1;token=s3cret9x",
    "s3://bucket/run#password=s3cret9x",
    "https://host/x?X-Amz-Credential=KEYID7&X-Amz-Signature=s3cret9x",
    "az://container/x?sv=2024&sig=s3cret9x",
    "https://host/x?aws%5Fsecret%5Faccess%5Fkey=s3cret9x",
    "gs://bucket/x?access_token=s3cret9x",
]  # fmt: skip
PLAIN_URLS = [
    "s3://bucket", "s3://bucket/run", "s3://bucket/a@b/c", "s3://bucket/a:b/c", "s3://bucket/楚@秦", "memory://x/y",
    "gs://bucket/x?versionId=3", "http://host:8080/x", "http://[::1]:8080/x", "file:///a/b", "/local/a:b@c", "a@b:c",
    "abfss://container@account.dfs.core.windows.net/x", "Qwen/Qwen2.5-14B", "s3://bucket/monkey=1?prefix=monkey",
]  # fmt: skip
PATH_SETTINGS = ("run", "out", "corpus", "train", "slm.model", "llm.model", "index.encoder", "datasets.A",
                 "slm.crf.unlabelled", "bench.vllm_python", "layout", "device")  # fmt: skip


def check_nothing_is_seen(text):
    for part in PARTS:
        assert part not in text, text


@pytest.mark.parametrize("url", PLAIN_URLS)
def test_a_url_without_credentials_is_none(url):
    assert not holds_credentials(url)
    assert hide_credentials(f"{url}: expected a folder, found nothing") == f"{url}: expected a folder, found nothing"


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_url_with_credentials_is_refused_everywhere(url, tmp_path, capsys):
    assert holds_credentials(url)
    check_nothing_is_seen(shorten_repr(url))
    with pytest.raises(ConfigError, match="environment") as caught:
        storage_path(url)
    check_nothing_is_seen(f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}")
    for key in PATH_SETTINGS:
        with pytest.raises(ConfigError) as caught:
            load_config(None, [f"{key}={json.dumps(url)}"])
        check_nothing_is_seen(str(caught.value))
        assert key in str(caught.value)
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps({"train": ["a.txt", url]}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"settings\.yaml:1: train: expected a URL without user name") as caught:
        load_config(path)
    check_nothing_is_seen(str(caught.value))
    for arguments in (["view", url], ["view", "x", "--out", url], ["export", url, "--to", "tei", "out"],
                      ["status", url],
                      ["export", "x", "--to", "tei", url], ["export", "x", "--to", "tei", "y", "--tags", url],
                      ["eval", url, "b"], ["review", "pick", url, "out"], ["review", "import", url, "o", "--from", url],
                      ["doctor", "--config", url], ["doctor", f"run={url}"], ["view", "x", "--port", url], [url],
                      ["doctor", "--address", url], ["export", "x", "--to", url, "y"]):  # fmt: skip
        assert main(arguments) == 2
        said = capsys.readouterr()
        check_nothing_is_seen(said.out + said.err)
        assert "without user name, password, key or token" in said.err
    for arguments in ([f"corpus={url}"], [f"corpus=[{json.dumps(url)}]"], [url], ["--config", url], [f"{url}=1"]):
        assert run_job(Job("job", "Works.", pytest.fail, pytest.fail), arguments) == 2
        check_nothing_is_seen(capsys.readouterr().err)


@pytest.mark.parametrize("url", [url for url in SECRET_URLS if not set(url) & set(" \"'\n")])
def test_a_url_with_credentials_is_hidden_in_any_text(url):
    for text in (
        url,
        f"[Errno 2] No such file: '{url}'",
        f'{{"path": "{url}"}}',
        f"({url})",
        f"a {url}: b",
        f"{url}\n{url}",
    ):
        check_nothing_is_seen(hide_credentials(text))
    one_slash = url.replace("://", ":/", 1)  # as pathlib writes it
    check_nothing_is_seen(hide_credentials(f"[Errno 2] No such file or directory: '{one_slash}'"))


@pytest.mark.parametrize(
    "text",
    [
        "{'aws_access_key_id': 'KEYID7', 'aws_secret_access_key': 's3cr/et9x'}",
        '{"client_secret": "s3cr/et9x"}',
        "storage_options={'secret': 's3cret9x', 'token': 's3cret9x'}",
        "AWS_SECRET_ACCESS_KEY=s3cr/et9x AWS_ACCESS_KEY_ID=KEYID7",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=s3cr/et9x==;EndpointSuffix=core.windows.net",
        "Authorization: AWS4-HMAC-SHA256 Credential=KEYID7/20250101/s3/aws4_request, Signature=s3cret9x",
        "headers: {'Authorization': 'Bearer s3cr.et9x'}",
        "x-amz-security-token='s3cret9x'",
        "GET /b?X-Amz-Security-Token=s3cret9x&X-Amz-Signature=s3cret9x HTTP/1.1",
        "got b'password=s3cret9x'",
    ],
)
def test_named_secrets_are_hidden(text):
    shown = hide_credentials(text)
    check_nothing_is_seen(shown)
    assert "***" in shown


@pytest.mark.parametrize(
    "token",
    ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "hf_abcdefghijklmnopqrstuvwxyz",
     "ghp_abcdefghijklmnopqrstuvwxyz0123", "ya29.a0AfH6SMBx", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
)  # fmt: skip
def test_tokens_of_known_forms_are_hidden(token):
    assert hide_credentials(f"no access for {token}, or no such key") == "no access for ***, or no such key"


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "RAY_AUTH_TOKEN", "DB_PASSWORD"]
)
def test_secrets_of_the_environment_are_hidden(monkeypatch, name):
    monkeypatch.setenv(name, "s3cr/et9x+")
    check_nothing_is_seen(hide_credentials("the server said: wrong s3cr/et9x+ here"))


@pytest.mark.parametrize(
    "text",
    ["data/a.txt:12: expected 2 columns (char, tag), found 3. Use --layout conll",
     "11:22:33 tag 1,000/9,000 characters",
     "run: expected a run folder (run=DIR), found none", "export RAY_AUTH_MODE=token on every node",
     "key=value", "楚:王@秦",
     "seed was 13, is 14", "slm.epochs: expected int, found 'a'", "https://host/page: 404", "tokens: 12, token: 楚",
     "mail a@b.example", "E:/corpus/a@b.txt"],
)  # fmt: skip
def test_ordinary_messages_stay(text):
    assert hide_credentials(text) == text


def test_errors_of_libraries_are_hidden_where_they_become_messages():
    error = OSError(5, "Forbidden", "s3://KEYID7:s3cr/et9x@bucket")
    check_nothing_is_seen(format_error(error) + first_line(error))
    check_nothing_is_seen(first_line(ValueError("aws_secret_access_key=s3cr/et9x")))


def test_the_status_and_the_log_hold_no_credentials(tmp_path, capsys):
    with (
        pytest.raises(DataError),
        write_status_while_running(storage_path(tmp_path), "pipeline"),
    ):
        raise DataError("s3://KEYID7:s3cr/et9x@bucket: expected a file\nmore")
    content = (tmp_path / "status.json").read_text(encoding="utf-8")
    check_nothing_is_seen(content)
    assert "expected a file" in content
    handlers, level, propagate = log.handlers, log.level, log.propagate
    root_level = logging.getLogger().level
    try:
        start_logging()
        log.info("reads %s", "s3://KEYID7:s3cr/et9x@bucket\x1b[2J")
        try:
            raise JobError("aws_secret_access_key=s3cr/et9x")
        except JobError:
            log.exception("failed\nas expected")
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
        logging.getLogger().setLevel(root_level)
    said = capsys.readouterr().out
    check_nothing_is_seen(said)
    assert "reads s3://***@bucket\\x1b[2J\n" in said
    assert "failed\nas expected\nTraceback" in said


TRACEBACK = """
import os
from rayner.cli.exit_codes import call_and_return_exit_code

def fail():
    raise RuntimeError("Invalid bucket s3://KEYID7:s3cr/et9x@bucket, tried " + os.environ["AWS_SECRET_ACCESS_KEY"])

call_and_return_exit_code(fail)
"""


def test_a_traceback_holds_no_credentials():
    env = {**os.environ, "AWS_SECRET_ACCESS_KEY": "s3cr+et9x/8"}
    code = [sys.executable, "-c", TRACEBACK]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: Invalid bucket s3://***@bucket, tried ***" in done.stderr
    check_nothing_is_seen(done.stderr.replace('raise RuntimeError("Invalid bucket s3://KEYID7:s3cr/et9x@bucket', ""))


def test_a_real_process_prints_no_credentials(tmp_path):
    for arguments in (
        ["-m", "rayner", "export", "s3://KEYID7:s3cr/et9x@bucket", "--to", "tei", str(tmp_path / "out")],
        ["jobs/pipeline.py", f"run={tmp_path / 'run'}", "corpus=s3://KEYID7:s3cr/et9x@bucket", "train=a.txt"],
    ):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 2
        check_nothing_is_seen(done.stdout + done.stderr)
        assert done.stderr.count("\n") == 1
