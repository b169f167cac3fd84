"""A record is read back as it was written; a value that does not fit is named with its key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from rayner.errors import ConfigError, DamagedFileError
from rayner.text.json_records import RecordError, parse_record, record_from_json, record_to_json


@dataclass(frozen=True)
class Inner:
    name: str
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    kind: ClassVar[str] = "outer"

    n: int
    is_done: bool
    title: str
    rate: float
    inner: Inner
    pair: tuple[int, str]
    rows: tuple[Inner, ...]
    names: list[str]
    counts: Mapping[str, dict[str, int]]
    anything: Any
    left: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


VALUE = Outer(1, True, "懷王", 2, Inner("a"), (1, "x"), (Inner("b", 1.5),), ["c"], {"NR": {"NS": 3}}, [None, {}])
# For each key: values of a wrong type.
WRONG = {
    "n": ["1", 1.0, True, None, [], {}],
    "is_done": [1, "true", None, []],
    "title": [1, None, [], {}],
    "rate": ["2", True, None, [], 1e999, -1e999, 10**400],
    "inner": ["a", None, [], {}, {"name": 1}, {"name": "a", "share": "b"}, {"name": "a", "other": 1}],
    "pair": [[1], [1, "x", 2], ["x", 1], "1x", {}, None],
    "rows": [{}, "b", [1], [{"name": None}]],
    "names": ["c", [1], {"c": 1}],
    "counts": [[], {"NR": []}, {"NR": {"NS": "3"}}, "x", None],
    "left": ["1", [], True],
    "more": [[], "x", None],
}


def test_a_record_is_read_back_as_it_was_written():
    tree = json.loads(json.dumps(record_to_json(VALUE)))
    assert "left" not in tree
    assert record_from_json(Outer, tree) == VALUE


@pytest.mark.parametrize(("key", "wrong"), [(key, wrong) for key, values in WRONG.items() for wrong in values])
def test_a_value_of_another_type_is_named_with_its_key(key, wrong):
    tree = record_to_json(VALUE) | {key: wrong}
    with pytest.raises(RecordError, match=rf"^(expected the key {key}\.name, found none|expected no key {key}\.other|"
                                          rf"{key}[.\w]*: expected .*, found .*)"):  # fmt: skip
        record_from_json(Outer, tree)


@pytest.mark.parametrize("key", ["n", "inner", "counts", "anything"])
def test_a_missing_key_is_named(key):
    tree = record_to_json(VALUE)
    del tree[key]
    with pytest.raises(RecordError, match=f"^expected the key {key}, found none$"):
        record_from_json(Outer, tree)


@pytest.mark.parametrize("key", ["other", "kind", "format_version"])
def test_an_unknown_key_is_refused_or_ignored(key):
    tree = record_to_json(VALUE) | {key: 1}
    with pytest.raises(RecordError, match=f"expected no key {key}, found one"):
        record_from_json(Outer, tree)
    assert parse_record(Outer, tree, "a.json", expected="an outer", remedy="go", ignore_unknown=True) == VALUE


def parse(content):
    return parse_record(
        Outer, content, "run/a.json", expected="an outer record", remedy="rerun the job", format_version=2
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [([], "a list"), (None, "null"), (True, "true"), (3, "the number 3"), ("x", "the text 'x'"),
     ("y" * 999, "the text 'yyyy")],
)  # fmt: skip
def test_a_file_of_another_kind_is_damaged(content, found):
    with pytest.raises(DamagedFileError) as caught:
        parse(content)
    assert str(caught.value).startswith(f"run/a.json: expected an outer record, found {found}")
    assert str(caught.value).endswith(": the file is damaged; restore it from a backup, or rerun the job")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("version", [None, 1, 3, "2", [2], True])
def test_another_version_is_no_damage(version):
    with pytest.raises(
        ConfigError, match=r"^run/a\.json: expected format_version 2, found .*: use that version, or rerun the job$"
    ):
        parse(record_to_json(VALUE) | {"format_version": version})


def test_damage_is_one_short_line_whatever_the_keys_are():
    tree = record_to_json(VALUE) | {"format_version": 2, "counts": {"a\n\x1b[2J" + "b" * 5000: 1}}
    with pytest.raises(DamagedFileError, match=r"^run/a\.json: counts\.a  \[2Jbbb.*rerun the job$") as caught:
        parse(tree)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_what_a_class_itself_refuses_is_named():
    @dataclass(frozen=True)
    class Share:
        share: float

        def __post_init__(self):
            if self.share > 1:
                raise ValueError(f"share: expected at most 1, found {self.share}")

    with pytest.raises(
        DamagedFileError,
        match=r"^a\.json: share: expected at most 1, found 2: the file is damaged; restore it from a backup, or x$",
    ):
        parse_record(Share, {"share": 2}, "a.json", expected="a share", remedy="x")
