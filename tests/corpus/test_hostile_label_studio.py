"""Label Studio's JSON with anything anywhere: the entities, or one short error that names the file and the task."""

import json
import time

import pytest

from rayner.cli import main
from rayner.corpus.review.candidates import ReviewCandidate
from rayner.corpus.review.corrections import read_corrections
from rayner.corpus.review.provenance import make_review_sentence, read_provenance, write_provenance
from rayner.errors import DataError
from rayner.text.spans import Span
from tests.json_trees import changed, paths_in

TEXT = "𠀀懷王入秦。"
VALUES = [None, True, False, 0, 1, -1, 3, 1.0, 1.5, 10**30, "", "0", "labels", "懷王", "x" * 5000, "\ud800", [], [[]],
          [1], ["NR"], ["NR", "NR"], [None], {}, {"start": 1}, {"value": {}}]  # fmt: skip


def region(start=1, end=3, label="NR", **more):
    return {
        "type": "labels",
        "id": "r1",
        "value": {"start": start, "end": end, "labels": [label], "text": "懷王"},
        **more,
    }


def make_task(*regions, **more):
    result = list(regions) or [region()]
    return {
        "id": 1,
        "data": {"text": TEXT},
        "annotations": [{"id": 7, "was_cancelled": False, "result": result}],
        **more,
    }


@pytest.fixture
def provenance(tmp_path):
    candidate = ReviewCandidate("d", 0, len(TEXT), TEXT, (), 0.0)
    write_provenance([make_review_sentence(candidate)], ["NR", "NS"], tmp_path / "provenance.json")
    return read_provenance([tmp_path / "provenance.json"])


@pytest.fixture
def read(tmp_path, provenance):
    """Write a file and read it as corrections: the entities of the text, or the message."""

    def write_and_read(content):
        path = tmp_path / "export.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        start = time.monotonic()
        try:
            corrections = read_corrections([path], provenance, ["NR", "NS"])
        except DataError as error:
            said = str(error)
            assert said.startswith((f"{path}: ", f"{path}:1: "))
            assert len(said) < 1000
            assert "\n" not in said
            said.encode()
            return said.removeprefix(f"{path}: ")
        finally:
            assert time.monotonic() - start < 20
        return corrections.spans_by_text.get(TEXT)

    return write_and_read


def test_a_plain_file_is_read(read):
    assert read([make_task()]) == (Span(1, 3, "NR"),)


@pytest.mark.parametrize("path", list(paths_in([make_task()])), ids=lambda path: "/".join(map(str, path)) or "all")
def test_any_value_anywhere_is_read_or_refused(read, path):
    for new in VALUES:
        found = read(changed([make_task()], path, new))
        if isinstance(found, tuple):
            assert set(found) <= {Span(1, 3, "NR"), Span(1, 3, "NS")}, "never an entity that the file does not hold"
        elif found is not None:
            assert "expected" in found


@pytest.mark.parametrize("path", [p for p in paths_in([make_task()]) if p and isinstance(p[-1], str)], ids=str)
def test_any_key_may_be_missing(read, path):
    found = read(changed([make_task()], path, ...))
    assert found == (Span(1, 3, "NR"),) or "task 1: expected" in found


@pytest.mark.parametrize("result", ["", "labels", 0, 3, True, False, None, {}, {"type": "labels"}, 1.5])
def test_a_result_of_another_type_is_refused_and_not_taken_for_a_text_without_entities(read, result):
    task = make_task()
    task["annotations"][0]["result"] = result
    assert read([task]).startswith("task 1: expected a list of regions as the result, found ")


HOSTILE = {
    "offset as text": (make_task(region("1", 3)), "whole numbers"),
    "offset as fraction": (make_task(region(1.0, 3)), "whole numbers"),
    "offset true": (make_task(region(True, 3)), "whole numbers"),
    "negative offset": (make_task(region(-5, 3)), "at [-5, 3), found no such place"),
    "beyond the text": (make_task(region(1, 99)), "at [1, 99), found no such place"),
    "start after end": (make_task(region(3, 1)), "found no such place"),
    "empty entity": (make_task(region(1, 1)), "found no such place"),
    "huge offset": (make_task(region(1, 10**4000)), "an integer of"),
    "another text": (make_task(region(3, 5)), "expected '懷王' at [3, 5), found '入秦'"),
    "bytes of utf-8 as offsets": (make_task(region(4, 10)), "found no such place"),
    "overlap": (make_task(region(), region(label="NS")), "expected entities without overlaps"),
    "the same region twice": (make_task(region(), region()), "expected entities without overlaps"),
    "two labels": (make_task({"type": "labels", "value": {"start": 1, "end": 3, "labels": ["NR", "NS"]}}), "one label"),
    "no label": (make_task({"type": "labels", "value": {"start": 1, "end": 3, "labels": []}}), "one label"),
    "unknown label": (make_task(region(label="x" * 10_000)), "expected a type of NR, NS, found 'xxx"),
    "label with half a pair": (make_task(region(label="\ud800")), "expected a type of NR, NS, found '\\ud800'"),
    "text with half a pair": ({**make_task(), "data": {"text": "\ud800"}}, "expected the unchanged text"),
    "changed text": ({**make_task(), "data": {"text": TEXT + "\0"}}, "expected the unchanged text"),
    "a million characters": ({**make_task(), "data": {"text": "懷" * 10**6}}, "expected the unchanged text"),
    "labels of HTML": (make_task(region(type="hypertextlabels")), "found 'hypertextlabels'"),
    "labels of paragraphs": (make_task(region(type="paragraphlabels")), "found 'paragraphlabels'"),
    "no type": (make_task({"value": {}}), "expected regions with a type"),
    "regions nested": (make_task([region()]), "expected regions with a type"),
    "annotation is a list": ({**make_task(), "annotations": [[region()]]}, "expected annotations with a result"),
    "skipped by a text": ({**make_task(), "annotations": [{"was_cancelled": "false", "result": []}]}, "was_cancelled"),
    "no annotations": ({"data": {"text": TEXT}}, "expected annotations"),
    "predictions alone": ({"data": {"text": TEXT}, "predictions": [{"result": [region()]}]}, "expected annotations"),
    "another task": ({"data": {"image": "x"}, "annotations": []}, "expected a task with data.text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_task_is_refused_naming_it(read, name):
    task, expected = HOSTILE[name]
    found = read([make_task(), task])
    assert found.startswith("task 2: ")
    assert expected in found


FILES = {
    "empty": (b"", "expected JSON"),
    "a mark alone": (b"\xef\xbb\xbf", "expected JSON"),
    "a mark": (b"\xef\xbb\xbf[]", "expected JSON"),
    "utf-16": ("[]".encode("utf-16"), "expected UTF-8"),
    "binary": (b"PK\x03\x04\xff\xfe", "expected UTF-8"),
    "null characters": (b"\0\0\0\0", "expected JSON"),
    "cut off": (json.dumps([make_task()]).encode()[:-9], "expected JSON"),
    "deep lists": (b"[" * 200_000 + b"]" * 200_000, "expected JSON, found brackets nested too deeply"),
    "deep objects": (b'{"a":' * 200_000, "expected JSON, found brackets nested too deeply"),
    "5,000 digits": (b"[" + b"9" * 5000 + b"]", "expected JSON, found: Exceeds the limit"),
    "not a number": (b"[NaN]", "found: NaN, which is not a JSON number"),
    "infinity": (b"[-Infinity]", "found: -Infinity, which is not a JSON number"),
    "a key twice": (b'[{"data": {"text": "a"}, "data": {"text": "b"}}]', "found: the key 'data' twice in an object"),
    "a long key twice": (b'[{"%s": 1, "%s": 2}]' % (b"k" * 9000, b"k" * 9000), "twice in an object"),
    "an object": (b"{}", "expected a list of tasks"),
    "a text": (b'"x"', "expected a list of tasks"),
    "a list of texts": (b'["x"]', "task 1: expected a task"),
    "JSON lines": (b"[]\n[]\n", "expected JSON"),
    "CSV": ("id,text\n1,楚\n".encode(), "expected JSON"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_naming_it(read, name):
    content, expected = FILES[name]
    assert expected in read(content)


def test_a_region_that_is_nested_deeply_is_refused_shortly(read):
    value: list = []
    for _ in range(300):
        value = [value]
    assert read([make_task({"type": "labels", "value": value})]).startswith("task 1: expected a region with start")


def test_what_is_no_entity_is_left_out(read):
    others = [{"type": "relation", "from_id": "a", "to_id": "b"}, {"type": "choices", "value": {"choices": ["x"]}}]
    assert read([make_task(*others, region())]) == (Span(1, 3, "NR"),)


def test_offsets_in_utf16_units_are_converted(read):
    assert read([make_task(region(2, 4))]) == (Span(1, 3, "NR"),)


def test_a_task_that_stands_twice_is_counted(tmp_path, provenance):
    path = tmp_path / "export.json"
    path.write_text(json.dumps([make_task(), make_task(), make_task(region(label="NS"))]), encoding="utf-8")
    corrections = read_corrections([path], provenance, ["NR", "NS"])
    assert corrections.conflicts == 1
    assert corrections.spans_by_text == {TEXT: (Span(1, 3, "NS"),)}


def test_the_command_says_it_in_one_line(tmp_path, provenance, capsys):
    assert provenance
    (tmp_path / "export.json").write_text(
        json.dumps([{**make_task(), "annotations": [{"result": 3}]}]), encoding="utf-8"
    )
    arguments = ["import", str(tmp_path / "export.json"), str(tmp_path / "out.txt")]
    assert main(["review", *arguments, "--from", str(tmp_path / "provenance.json")]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path}/export.json: task 1: expected a list of regions as the result, found 3\n"
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"types": "NR", "sentences": []}',
        b'{"types": [1], "sentences": []}',
        b'{"types": [], "sentences": {}}',
        b'{"types": [], "sentences": [{}]}',
        b'{"types": [], "sentences": [3]}',
        b'{"types": ["\\ud800"], "sentences": []}',
        b'{"types": [], "types": [], "sentences": []}',
        b"[" * 99_999,
        b"\xff",
    ],
    ids=range(10),
)
def test_a_hostile_provenance_is_refused_naming_it(tmp_path, content):
    path = tmp_path / "provenance.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_provenance([path])
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 600
