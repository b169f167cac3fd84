"""Settings files that are wrong on purpose: one short error each, at once. And values stay what they seem to be."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rayner.cli.jobs.definitions import Job
from rayner.cli.jobs.running import run_job
from rayner.config.loading import load_config
from rayner.corpus.exports.type_names import read_type_names
from rayner.errors import ConfigError
from rayner.text.messages import MAX_VALUE_CHARS, escape_control_characters, shorten_repr
from tests.test_settings import refused, written
from tests.unprivileged import open_folder, run_unprivileged

ROOT = Path(__file__).parents[1]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in ("ab", "bc", "cd", "de", "ef", "fg")
)
HOSTILE = {
    "aliases that grow": (BOMB, "line 1, column 4: an anchor or alias (& or *)"),
    "aliases that grow in a known key": ("slm: &a [x, x]\nllm: [*a, *a]\n", "an anchor or alias"),
    "an anchor that holds itself": ("slm: &a [*a]\n", "an anchor or alias"),
    "an alias of nothing": ("seed: *x\n", "an anchor or alias"),
    "an anchor of a key": ("&a seed: 1\n", "an anchor or alias"),
    "a merge key": ("slm:\n  <<: {epochs: 1}\n", "line 2, column 3: a merge key (<<)"),
    "a key twice": ("seed: 1\nseed: 2\n", "line 2, column 1: the key seed twice"),
    "a key twice in a section": ("slm:\n  epochs: 1\n  epochs: 2\n", "line 3, column 3: the key epochs twice"),
    "a key twice, quoted once": ("seed: 1\n'seed': 2\n", "the key seed twice"),
    "python": ("seed: !!python/object/apply:os.getcwd []\n", "the tag tag:yaml.org,2002:python/object/apply:os.getcwd"),
    "python module": ("seed: !!python/module:os\n", "the tag tag:yaml.org,2002:python/module:os"),
    "binary": ("run: !!binary aGk=\n", "the tag"),
    "set": ("train: !!set {a, b}\n", "the tag"),
    "timestamp": ("run: !!timestamp 2025-01-01\n", "the tag"),
    "a tag of its own": ("run: !mine x\n", "the tag !mine"),
    "too deep": ("a: " + "[" * 100 + "]" * 100, "more than 20 levels"),
    "much too deep": ("[" * 200_000, "more than 20 levels"),
    "too deep in blocks": ("".join(f"{' ' * i}a:\n" for i in range(300)), "more than 20 levels"),
    "too deep in one line": ("- " * 50_000, "more than 20 levels"),
    "too large": ("#" * 300_000, "more than 256 KiB"),
    "utf-16": ("seed: 1\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
    "utf-16-be": (b"\xfe\xff" + "seed: 1\n".encode("utf-16-be"), "UTF-16; save it as UTF-8"),
    "utf-16 without a mark": ("seed: 1\n".encode("utf-16-le"), "unacceptable character #x0000"),
    "gb18030": ("run: 楚\n".encode("gb18030"), "line 1: byte 0xb3, which is not UTF-8"),
    "a program": (b"\x7fELF\x02\x01\x01\x00\x00", "unacceptable character"),
    "an archive": (b"PK\x03\x04\x14\x00\xff\xfe", "which is not UTF-8"),
    "null character": (b"seed: \0\n", "unacceptable character #x0000"),
    "a terminal's escape": (b"seed: \x1b[2J\n", "unacceptable character #x001b"),
    "tab": ("slm:\n\tepochs: 3\n", "found character '\\t' that cannot start any token"),
    "two documents": ("seed: 1\n---\nseed: 2\n", "expected a single document"),
    "a list as key": ("? [a]\n: 1\n", "unhashable key"),
    "unknown escape": ('run: "\\q"\n', "unknown escape character"),
    "not closed": ("run: 'a\n", "unexpected end of stream"),
    "long name of an anchor": (f"run: &{'a' * 100_000} x\n", "an anchor or alias"),
    "long tag": (f"run: !{'a' * 100_000} x\n", "the tag !aaa"),
    "long key twice": (f"{'a' * 900}: 1\n{'a' * 900}: 2\n", "the key aaa"),
    "a list": ("- seed\n", "expected keys and values, found list"),
    "a word": ("seed\n", "expected keys and values, found str"),
    "a number as key": ("1: 2\n", "unknown key 1"),
    "null as key": ("~: 2\n", "unknown key None"),
    "a long key": (f"? {'a' * 100_000}\n: 1\n", "unknown key aaa"),
    "not a number": ("fusion: {weight_min: .nan}\n", "fusion.weight_min: expected float, found '.nan'"),
    "nan": ("fusion: {weight_min: nan}\n", "fusion.weight_min: expected a finite number, found nan"),
    "infinite": ("fusion: {weight_max: inf}\n", "fusion.weight_max: expected a finite number, found inf"),
    "1e400": ("split: {dev: 1e400}\n", "split.dev: expected a finite number, found inf"),
    "5,000 digits": (f"seed: {'9' * 5000}\n", "seed: expected int, found '999"),
    "5,000 digits for a float": (f"split: {{dev: {'9' * 5000}}}\n", "split.dev: expected a finite number, found inf"),
    "20 digits": ("seed: 99999999999999999999\n", "seed: expected int, found '99999999999999999999'"),
    "hexadecimal": ("seed: 0x10\n", "seed: expected int, found '0x10'"),
    "octal": ("seed: 010\n", "seed: expected int, found '010'"),
    "base 60": ("seed: 1:30\n", "seed: expected int, found '1:30'"),
    "true for a number": ("seed: true\n", "seed: expected int, found True"),
    "a fraction for an integer": ("seed: 1.5\n", "seed: expected int, found '1.5'"),
    "a long text for a number": (f"seed: {'楚' * 60_000}\n", "seed: expected int, found '楚楚"),
    "a long list for a number": (f"seed: [{'1,' * 20_000}]\n", "seed: expected int, found [1, 1, 1, 1, ...]"),
    "a section for a text": ("run: {a: {b: {c: {d: {e: 1}}}}}\n", "run: expected str, found {'a'"),
    "a text for a section": ("slm: crf\n", "slm: expected a section, found 'crf'"),
    "nothing for a section": ("slm:\n", "slm: expected a section, found None"),
    "a list for a text in a map": ("datasets: {A: [a, b]}\n", "datasets: expected"),
    "a null character in a text": ('run: "a\\0b"\n', "run: expected text without null characters"),
    "half a surrogate pair": ('run: "\\ud800"\n', "run: expected text in UTF-8"),
}  # fmt: skip


def brief(value):
    """A short name of a test."""
    return shorten_repr(value)[:30]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_short_error(tmp_path, name):
    content, found = HOSTILE[name]
    path = written(tmp_path, content)
    start = time.monotonic()
    said = refused(path)
    assert time.monotonic() - start < 5
    assert found in said
    assert len(said) < 600
    key = said.partition(":")[0].rpartition(".")[2]
    assert said.startswith(f"{path}:") or f"{key}:" in content, "it names the file or the key"


@pytest.mark.parametrize(
    "value", ["&a [*a, *a]", "*a", "{<<: {a: 1}}", "!!binary aGk=", "[" * 30_000, "{a: 1, a: 2}", "9" * 9000], ids=brief
)
def test_a_hostile_argument_is_one_short_error(value):
    said = refused(None, f"seed={value}")
    assert said.startswith("command line: seed: ")
    assert len(said) < 600


def test_307_bytes_of_aliases_do_not_write_580_megabytes(tmp_path):
    (tmp_path / "bomb.yaml").write_text(f"run: &z x\n{BOMB}slm: *g\n", encoding="utf-8")
    code = [sys.executable, "-m", "rayner", "doctor", "--config", str(tmp_path / "bomb.yaml")]
    done = subprocess.run(code, capture_output=True, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr) < 500


@pytest.mark.parametrize(
    "text",
    ["2025-01-01", "2025-13-45", "1.10", "007", "12:30", "0x10", "1_000", "1e3", ".5", "9" * 40, "0b1", "=", "2025"],
)
def test_a_text_stays_the_text_it_seems_to_be(tmp_path, text):
    assert load_config(written(tmp_path, f"run: {text}\n")).run == text
    assert load_config(None, [f"run={text}"]).run == text


def test_numbers_are_read():
    config = load_config(
        None, ["seed=2025", "split.dev=1e-1", "split.test=.25", "fusion.weight_min=-1", "slm.epochs=+3"]
    )
    assert (config.seed, config.split.dev, config.split.test, config.fusion.weight_min) == (2025, 0.1, 0.25, -1.0)
    assert config.slm.epochs == 3


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_mark_and_line_ends_of_other_systems_are_read(tmp_path, mark, line_end):
    config = load_config(written(tmp_path, mark + line_end.join(["# 楚", "run: '楚\ue000𠀀'", "seed: 7", ""]).encode()))
    assert (config.run, config.seed) == ("楚\ue000𠀀", 7)


def test_files_that_are_no_files(tmp_path):
    for path, found in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file"), ("s3://b/c.yaml", "a URL")):
        with pytest.raises(ConfigError, match=f"expected a YAML file, found: {found}"):
            load_config(path)
        with pytest.raises(ConfigError, match=f"expected a YAML file, found: {found}"):
            read_type_names(path)


def test_a_file_without_permission():
    def describe_error():
        try:
            load_config(path)
        except ConfigError as error:
            return str(error)

    with open_folder() as folder:
        path = folder / "settings.yaml"
        path.write_text("seed: 1\n", encoding="utf-8")
        path.chmod(0)
        assert run_unprivileged(describe_error) == f"{path}: expected a YAML file, found: Permission denied"


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        "NR: &a x\nNS: *a\n",
        "NR: x\nNR: y\n",
        "NR: !!python/name:os.system x\n",
        "<<: {NR: x}\n",
        "[" * 9000,
        f"NR: [{'x,' * 9000}]\n",
        "NR: {a: {b: c}}\n",
        b"\xff\xfeN\0R\0",
    ],
    ids=brief,
)
def test_hostile_names_of_types(tmp_path, content):
    path = tmp_path / "names.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_type_names(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "argument", ["run=" + "x" * 300, "run=" + "x/" * 3000, 'run="a\\0b"', "x" * 60_000, "a." * 9000 + "b=1"], ids=brief
)
def test_a_path_that_no_system_has_is_one_short_error(capsys, argument):
    assert run_job(Job("job", "Works.", pytest.fail, pytest.fail), [argument]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert len(said) < 600


def test_no_control_character_of_a_setting_reaches_the_terminal(capsys):
    arguments = ['device="\\e[2J\\u202e\\a"']
    assert run_job(Job("job", "Works.", pytest.fail, pytest.fail), arguments) == 2
    said = capsys.readouterr().err
    assert r"\x1b[2J\u202e\x07" in said
    assert said.rstrip("\n").isprintable()


# ---- the helpers


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        ["x" * 10**6] * 10**4,
        {str(i): "x" * 1000 for i in range(10**4)},
        10**5000,
        -(10**400),
        b"x" * 10**6,
        [[[[[[[[[[]]]]]]]]]],
        {1, 2, 3, 4, 5, 6, 7},
        float("nan"),
        None,
        "楚",
        object,
    ],
    ids=brief,
)
def test_a_value_in_a_message_is_short(value):
    shown = shorten_repr(value)
    assert len(shown) <= MAX_VALUE_CHARS * 2
    assert "..." in shown or "bits" in shown or shown == repr(value)


def test_a_value_that_holds_itself_is_shown():
    value = []
    value.append(value)
    assert len(shorten_repr(value)) < 100


def test_control_characters_are_escaped():
    assert escape_control_characters("楚\ue000 \x1b\n\x85\u2028\u202e\ud800\udcff\U000e0001") == (
        "楚\ue000 \\x1b\\x0a\\x85\\u2028\\u202e\\ud800\\xff\\U000e0001"
    )
    assert escape_control_characters(os.fsdecode(b"\xb3\xfe")) == r"\xb3\xfe"
