"""Control files: what is no JSON is one clear error, and no job writes what is no JSON."""

import math

import pytest

from rayner.errors import DamagedFileError, DataError, JobError, NotFiniteError
from rayner.runs.json_files import read_checked_json, read_json, write_checked_json, write_json
from rayner.runs.storage import storage_path

DAMAGED = {
    "empty": (b"", "an empty file"),
    "blank": (b" \n\t\r\n", "an empty file"),
    "NULs": (b"\0" * 4096, "only NUL bytes"),
    "half": (b'{"a": 1,\n "b": "x', "something else at line 2, column 7"),
    "text": (b"hello", "something else at line 1, column 1"),
    "two values": (b"{}\n{}", "something else at line 2, column 1"),
    "byte order mark": (b"\xef\xbb\xbf{}", "something else at line 1"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "bytes that are not UTF-8 at line 1"),
    "not UTF-8": (b'{\n"a": "\xff"}', "bytes that are not UTF-8 at line 2"),
    "surrogate": (b'{"a": "\\uD800"}', "half a surrogate pair"),
    "surrogate in a key": (b'{"\\udfff": 1}', "half a surrogate pair"),
    "NaN": (b'{"a": NaN}', "NaN, which is not a JSON number"),
    "infinity": (b'{"a": -Infinity}', "-Infinity, which is not a JSON number"),
    "too large": (b'{"a": [1.0, -1e999]}', "-1e999, which is too large a number"),
    "digits": (b'{"a": ' + b"1" * 5000 + b"}", "a number with too many digits"),
    "brackets": (b"[" * 100_000, "brackets nested too deeply"),
    "closed brackets": (b"[" * 100_000 + b"]" * 100_000, "brackets nested too deeply"),
    "objects": (b'{"a":' * 100_000, "brackets nested too deeply"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("where", ["local", "object store"])
def test_a_damaged_file_is_one_line_naming_it_what_was_found_and_what_to_do(tmp_path, kind, where):
    content, found = DAMAGED[kind]
    path = (tmp_path if where == "local" else storage_path("memory://json")) / "a.json"
    with path.open("wb") as file:
        file.write(content)
    with pytest.raises(DamagedFileError) as caught:
        read_json(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected JSON, found {found}")
    assert message.endswith("the file is damaged; restore it from a backup, or start over beside it with --fresh")
    assert "\n" not in message
    message.encode()


def test_the_caller_may_say_what_to_do(tmp_path):
    (tmp_path / "a.json").write_bytes(b"")
    with pytest.raises(
        DamagedFileError,
        match=r"a\.json: .*an empty file: the file is damaged; restore it from a backup, or rerun the job$",
    ):
        read_json(tmp_path / "a.json", "rerun the job")


def test_a_folder_of_that_name_is_damage_and_a_missing_file_is_missing(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(DamagedFileError, match=r"a\.json: expected JSON, found a folder"):
        read_json(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json")


def test_damage_is_an_error_of_the_input():
    assert issubclass(DamagedFileError, DataError)
    assert DamagedFileError.exit_code == 2


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "9" * 400 + ".5", "-" + "9" * 400]
)
def test_a_number_that_is_not_finite_is_damage_of_its_own_kind(tmp_path, number):
    (tmp_path / "a.json").write_text(f'{{"weight": {number}}}')
    with pytest.raises(NotFiniteError) as caught:
        read_json(tmp_path / "a.json")
    assert isinstance(caught.value, DamagedFileError)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("number", ["1e308", "-0.0", "5e-324", "1e-999", "12345678901234567890", "9" * 300])
def test_a_finite_number_is_read(tmp_path, number):
    (tmp_path / "a.json").write_text(f'{{"weight": {number}}}')
    assert float(read_json(tmp_path / "a.json")["weight"]) == float(number)


@pytest.mark.slow
def test_a_hundred_megabytes_of_brackets_are_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[" * 100_000_000)
    with pytest.raises(DamagedFileError, match="brackets nested too deeply"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rule": {"bias": [0.5, math.nan]}}, r"found nan at rule\.bias\.1: the file was not written"),
        ({"a": [{"b": -math.inf}]}, r"found -inf at a\.0\.b"),
        (math.inf, "found inf: the file was not written"),
        ({"unread": {"b\udcff.txt": "empty"}}, r"found 'b\\udcff\.txt', which is not Unicode text at unread:"),
        ({"a": ("x", "\ud800")}, r"found '\\ud800', which is not Unicode text at a\.1"),
    ],
)
def test_what_is_no_json_is_not_written_and_the_message_names_file_and_key(tmp_path, value, message):
    path = tmp_path / "a.json"
    write_json(path, {"before": 1})
    with pytest.raises(JobError, match=r"a\.json: expected values that JSON can hold, " + message) as caught:
        write_json(path, value)
    str(caught.value).encode()
    assert read_json(path) == {"before": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_checked_file_is_read_back_and_any_flipped_bit_is_noticed(tmp_path):
    path, value = tmp_path / "steps" / "plan.json", {"a": [1, 2.5, None], "書": {"b": '"x\n'}}
    write_checked_json(path, value)
    content = path.read_bytes()
    assert read_checked_json(path) == value
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = read_checked_json(path)
        except DamagedFileError:
            continue
        assert set(found) - set(value)  # the name of the digest was hit: records refuse the unknown key


def test_a_file_of_an_earlier_version_has_no_digest(tmp_path):
    write_json(tmp_path / "old.json", {"a": 1})
    assert read_checked_json(tmp_path / "old.json") == {"a": 1}
