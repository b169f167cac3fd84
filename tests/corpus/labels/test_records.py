"""Labels in JSON: records as rayner, doccano, spaCy and GLiNER write them, and tasks of Label Studio."""

import json

import pytest

from rayner.corpus.labelled_files import read_labelled_file

TWO_TEXTS = [("懷王入秦。", [("懷王", "NR"), ("秦", "NS")]), ("不反", [])]


def lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def both_texts(key, entities, **more):
    return [{"text": "懷王入秦。", key: entities, **more}, {"text": "不反", key: [], **more}]


RECORDS = {
    "rayner": both_texts(
        "entities", [{"start": 0, "end": 2, "type": "NR", "score": None}, {"start": 3, "end": 4, "type": "NS"}]
    ),
    "doccano": both_texts("label", [[0, 2, "NR"], [3, 4, "NS"]], id=1, Comments=[]),
    "old doccano": both_texts("labels", [[0, 2, "NR"], [3, 4, "NS"]]),
    "doccano with relations": both_texts(
        "entities",
        [{"id": 1, "label": "NR", "start_offset": 0, "end_offset": 2},
         {"id": 2, "label": "NS", "start_offset": 3, "end_offset": 4}],
        relations=[],
    ),
    "spaCy": both_texts(
        "ents", [{"start": 0, "end": 2, "label": "NR"}, {"start": 3, "end": 4, "label": "NS"}], spans={}
    ),
    "prodigy": both_texts("spans", [{"start": 0, "end": 2, "label": "NR"}, {"start": 3, "end": 4, "label": "NS"}]),
    "a part of a run": both_texts("spans", [[0, 2, "NR"], [3, 4, "NS"]]),
    "Label Studio, minimal": both_texts(
        "label", [{"start": 0, "end": 2, "text": "懷王", "labels": ["NR"]},
                  {"start": 3, "end": 4, "text": "秦", "labels": ["NS"]}],
    ),
    "old spaCy": [["懷王入秦。", {"entities": [[0, 2, "NR"], [3, 4, "NS"]]}], ["不反", {"entities": []}]],
    "GLiNER": [
        {"tokenized_text": ["懷王", "入", "秦", "。"], "ner": [[0, 0, "NR"], [2, 2, "NS"]]},
        {"tokenized_text": ["不", "反"], "ner": []},
    ],
}  # fmt: skip


@pytest.mark.parametrize("style", RECORDS)
def test_records_of_every_style_as_lines_and_as_a_list(read, style):
    records = RECORDS[style]
    assert read(lines(*records)) == TWO_TEXTS
    assert read(json.dumps(records)) == TWO_TEXTS
    assert read("\ufeff\n" + json.dumps(records, indent=1)) == TWO_TEXTS
    assert read(lines(records[0])) == TWO_TEXTS[:1]


def test_records_that_were_rejected_in_prodigy_are_left_out_and_counted(read, tmp_path):
    answers = ["accept", "reject", "ignore"]
    records = [{"text": f"甲{answer}", "spans": [], "answer": answer} for answer in answers]
    assert read(lines(*records), name="a.jsonl") == [("甲accept", [])]
    assert read_labelled_file(tmp_path / "a.jsonl").faults["unlabelled_texts"] == 2


@pytest.mark.parametrize(("content", "expected"), [
    ('{"text": "甲", "label": []}\n{"text": "乙", "label": [[0, 1]]}\n',
     "a:2: expected an entity as [start, end, type], [string, type] or an object"),
    ('{"text": "甲", "label": []}\n{"text": "乙", \n', "a:2: expected JSON, found: Expecting property name"),
    ('[{"text": "甲", "label": []}, {"text": "乙"}]',
     "a: record 2: expected entities in a list named entities, label, labels, ents, spans, found none"),
    ('{"text": 1, "label": []}', "a:1: expected an object with text and entities"),
    ('{"text": "甲", "label": [[0, 2, "NR"]]}', "a:1: expected an entity inside the 1 characters of its text at"),
    ('{"text": "屈原", "label": [{"start": 0, "end": 1, "text": "屈原", "label": "NR"}]}', "the ends seem to be"),
    ('{"text": "甲乙", "label": [[0, 2, "NR"], [0, 1, "NS"]]}', "a:1: expected entities without overlaps"),
    ('{"text": "甲\\ud800", "label": []}', "a:1: expected Unicode text, found half a surrogate pair: '\\ud800'"),
    ('{"text": "甲", "text": "乙", "label": []}', "the key 'text' twice in an object"),
    ('{"tokenized_text": ["甲"], "ner": [[0, 1, "NR"]]}', "expected the first and the last of 1 tokens, counted from"),
    ('{"tokenized_text": ["甲"], "ner": [[0, 0]]}', "a:1: expected an entity as [first, last, type], found [0, 0]"),
    ('{"tokenized_text": "甲", "ner": []}', "a:1: expected tokenized_text, a list of tokens, and ner, a list of"),
    ("[]", "a: expected at least one labelled character, found none"),
    ("[" * 100_000, "a: expected JSON, found brackets nested too deeply"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_or_record(refusal, content, expected):
    assert expected in refusal(content, name="a")


def task(text, *annotations, **data):
    results = [
        {"result": [{"id": "e", "from_name": "ner", "to_name": "t", "type": "labels",
                     "value": {"start": a, "end": b, "text": text[a:b], "labels": [name]}} for a, b, name in entities]}
        for entities in annotations
    ]  # fmt: skip
    return {"id": 1, "data": data or {"text": text}, "annotations": results, "predictions": []}


def test_tasks_that_rayner_did_not_make(read, tmp_path):
    entities = [(0, 2, "NR"), (3, 4, "NS")]
    first = task("懷王入秦。", [(0, 2, "NS")], entities, source="史記", sentence="懷王入秦。")
    tasks = [first, task("不反", [], source="秦", sentence="不反"), task("甲", source="史記", sentence="甲")]
    assert read(json.dumps(tasks), name="tasks.txt") == TWO_TEXTS
    labelled = read_labelled_file(tmp_path / "tasks.txt")
    assert labelled.layout == "label-studio"
    assert {name: n for name, n in labelled.faults.items() if n} == {"unlabelled_texts": 1, "labelled_again": 1}


def test_offsets_of_tasks_in_utf16_units_are_converted(read):
    old = task("𠀀楚", [(0, 1, "NS")])
    old["annotations"][0]["result"][0]["value"] |= {"start": 2, "end": 3, "text": "楚"}
    assert read(json.dumps([old])) == [("𠀀楚", [("楚", "NS")])]


@pytest.mark.parametrize(("tasks", "expected"), [
    ([task("甲"), task("乙")], "a: expected submitted annotations, found 2 tasks that nobody has labelled;"),
    ([{"data": {"text": "甲"}, "predictions": []}], "a: task 1: expected annotations (export as JSON, not as JSON-MIN"),
    ([task("甲", [], a="甲", b="甲甲"), 5], "a: expected the text of each task in data.text, found ['a', 'b']; rename"),
    ([task("甲", [], a="甲"), 5], "a: task 2: expected a task with data.a, as Label Studio exports"),
    ([task("甲", [(0, 1, "N R")])], "a: task 1: expected a type without white space"),
    ([task("甲乙", [(0, 1, "NR"), (0, 2, "NR")])], "a: task 1: expected entities without overlaps"),
    ([task("甲", [], a="甲", b="甲乙")], "a: expected the text of each task in data.text, found ['a', 'b']; rename"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_task(refusal, tasks, expected):
    assert expected in refusal(json.dumps(tasks, ensure_ascii=False), name="a")
