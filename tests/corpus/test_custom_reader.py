"""Labelled files by a reader of the user's own: whatever it answers is what it says, or refused in one line."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings

from rayner.corpus.labelled_files import LINE_SEPARATORS, read_labelled_file
from rayner.errors import ConfigError, DataError
from rayner.text.spans import Span
from tests.strategies import tagged_texts

TABLE = """
    import json
    def read(data):
        return json.loads(data)
"""


def test_text_and_entities_are_those_of_the_reader(own_module, tmp_path):
    own_module("own_reader", TABLE)
    path = tmp_path / "a.json"
    path.write_text('["懷\\ue1e0王𠮷\\u2028入秦", [[6, 7, "LOC"], [0, 3, "PER"]]]', encoding="utf-8")
    found = read_labelled_file(path, layout="own_reader:read")
    assert found.text == "懷\ue1e0王𠮷\u2028入秦"
    assert found.spans == (Span(0, 3, "PER"), Span(6, 7, "LOC"))
    assert found.faults == {"private_use": 1, "beyond_bmp": 1, "line_separators": 1}
    assert "\u2028" in LINE_SEPARATORS
    assert (found.path, found.blank_line_offsets) == (str(path), ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(labelled=tagged_texts())
def test_every_text_and_its_entities_come_through(own_module, tmp_path, labelled):
    text, spans = labelled
    own_module("own_reader", TABLE)
    (tmp_path / "a").write_text(json.dumps([text + "。", [[s.start, s.end, s.type] for s in spans]]), encoding="utf-8")
    found = read_labelled_file(tmp_path / "a", layout="own_reader:read")
    assert (found.text, found.spans) == (text + "。", tuple(spans))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("3", "expected of own_reader:read the text and (start, end, type)s, found: "),
        ("'懷王', [(0, 2)]", "expected of own_reader:read the text and (start, end, type)s, found: "),
        ("b'a', []", "expected of own_reader:read the text and (start, end, type)s, found: a text that is bytes"),
        (
            "'懷王', [(0, 3, 'PER')]",
            "expected of own_reader:read the text and (start, end, type)s, found: Span(start=0",
        ),
        ("'懷王', [(0, 2, 'PER'), (1, 2, 'LOC')]", "expected of own_reader:read the text and "),
        ("'懷王', [(0, 0, 'PER')]", "expected of own_reader:read the text and "),
        ("'懷王', [(-1, 1, 'PER')]", "expected of own_reader:read the text and "),
        ("'懷王', [(0.0, 1, 'PER')]", "expected of own_reader:read the text and "),
        ("'懷\\ud800', []", "expected of own_reader:read the text and "),
        ("'', []", "expected at least one labelled character, found none"),
        ("'懷王', [(0, 1, 'P R')]", "expected a type without white space, <, >, / and &, found 'P R'"),
        ("'懷王', [(0, 1, '')]", "expected a type without white space, <, >, / and &, found ''"),
        ("{}['label']", "own_reader:read met KeyError: 'label'"),
        ("int('x')", "invalid literal for int() with base 10: 'x'"),
        ("data.decode('ascii')", "'ascii' codec can't decode byte 0xe6"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(own_module, tmp_path, answer, said):
    own_module("own_reader", f"def read(data): return {answer}")
    path = tmp_path / "a.txt"
    path.write_text("懷", encoding="utf-8")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {said}')}") as caught:
        read_labelled_file(path, layout="own_reader:read")
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_reader_is_not_hidden(own_module, tmp_path):
    own_module("own_reader", "def read(data): return 1 / 0")
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(ZeroDivisionError):
        read_labelled_file(tmp_path / "a", layout="own_reader:read")


def test_what_is_no_function_and_a_file_that_is_not_there_are_refused(own_module, tmp_path):
    own_module("own_reader", f"{TABLE}\n    X = 'read'")
    with pytest.raises(
        ConfigError, match=r"^layout: expected a function of a file's bytes, found own_reader:X of type str"
    ):
        read_labelled_file(tmp_path / "a", layout="own_reader:X")
    with pytest.raises(DataError, match="expected a file, found nothing of that name"):
        read_labelled_file(tmp_path / "a", layout="own_reader:read")


def test_types_that_may_not_occur_are_refused(own_module, tmp_path):
    own_module("own_reader", TABLE)
    (tmp_path / "a").write_text('["懷王", [[0, 2, "PER"]]]', encoding="utf-8")
    with pytest.raises(DataError, match="expected a type of LOC, found 'PER'"):
        read_labelled_file(tmp_path / "a", layout="own_reader:read", types=["LOC"])
    assert read_labelled_file(tmp_path / "a", layout="own_reader:read", types=["PER"]).spans == (Span(0, 2, "PER"),)
