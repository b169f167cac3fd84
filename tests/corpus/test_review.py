"""Sentences out to a reviewer and back: chosen from a tagged corpus, unchanged on their way, refused where changed."""

import hashlib
import json
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text
from rayner.corpus.review.candidates import ReviewCandidate, iter_candidates_by_document
from rayner.corpus.review.corrections import Corrections, read_corrections, write_corrections
from rayner.corpus.review.provenance import Provenance, ReviewSentence, read_provenance
from rayner.corpus.review.selection import ChosenSentences, pick_sentences
from rayner.corpus.review.task_files import write_review_folder
from rayner.errors import ConfigError, DataError
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import TYPES, at_most, chars, spans_in

TEXT = "  懷王曰善。\n\n蘇秦死於齊。楚使怒去。\n　\n𠀀王歸燕"


def segments(doc_id, text, errors=(), asked=()):
    return [
        {"doc_id": doc_id, "start": start, "end": end, "gated": start not in asked, "passes": int(start in asked),
         "error": "boom" if start in errors else None}
        for start, end in split_sentences(text)
    ]  # fmt: skip


def found(doc_id, start, text, score=0.5, **more):
    return {**entity(doc_id, start, text), "score": score, "slm_type": "NR", **more}


@pytest.fixture
def tagged(tmp_path):
    """Two documents, the second over two files."""
    folder = tmp_path / "t"
    rows = segments("b", TEXT)
    entities = [found("a", 0, "趙王", 0.9), found("b", 2, "懷王")]
    first = [*segments("a", "趙王曰。"), *rows[:1]]
    write_unit(folder, "unit-0.parquet", [document("a", "趙王曰。"), document("b", TEXT)], entities, first)
    write_unit(folder, "unit-1.parquet", [], [found("b", TEXT.index("𠀀王"), "𠀀王", 0.2)], rows[1:])
    return folder


# ---- from a tagged corpus


def test_candidates_are_segments_without_the_white_space_around_them(tagged):
    a, b = iter_candidates_by_document(tagged)
    assert [candidate.text for candidate in a] == ["趙王曰。"]
    assert [candidate.text for candidate in b] == ["懷王曰善。", "蘇秦死於齊。", "楚使怒去。", "𠀀王歸燕"]
    for candidate in b:
        assert TEXT[candidate.start : candidate.end] == candidate.text
    assert b[0].spans == (Span(0, 2, "NR"),)
    assert b[3].doubted_entities[0].error_weight == pytest.approx(0.8)


def test_what_was_set_aside_is_never_picked(tmp_path):
    text = "懷王曰善。蘇秦死於齊。"
    write_unit(tmp_path / "t", "u.parquet", [document("a", text)], [found("a", 0, "懷王"), found("a", 5, "蘇秦")],
               segments("a", text, errors=[5]))  # fmt: skip
    assert [candidate.text for candidate in pick_sentences(tmp_path / "t", 9).candidates] == ["懷王曰善。"]


def test_pieces_of_a_sentence_that_share_an_entity_are_never_picked(tmp_path):
    text = "懷王曰善蘇秦死於齊趙王歸燕"
    rows = [
        {"doc_id": "a", "start": start, "end": end, "gated": True, "passes": 0, "error": None}
        for start, end in ((0, 5), (5, 9), (9, 13))
    ]
    write_unit(tmp_path / "t", "u.parquet", [document("a", text)], [found("a", 4, "蘇秦"), found("a", 9, "趙王")], rows)
    assert [candidate.text for candidate in pick_sentences(tmp_path / "t", 9).candidates] == ["趙王歸燕"]


def test_a_segment_that_the_models_disagree_on_is_doubted_more(tmp_path):
    text = "懷王曰善。蘇秦死於齊。"
    rows = [found("a", 0, "懷王", llm_type="NR"), found("a", 5, "蘇秦", llm_type=None)]
    write_unit(tmp_path / "t", "u.parquet", [document("a", text)], rows, segments("a", text, asked=[0, 5]))
    ((agreed, apart),) = iter_candidates_by_document(tmp_path / "t")
    assert apart.doubted_entities[0].error_weight > agreed.doubted_entities[0].error_weight


def test_the_most_doubtful_are_picked_over_documents_and_texts_that_were_reviewed_are_not(tagged):
    progress = []
    picked = pick_sentences(tagged, 2, on_progress=lambda done, total: progress.append((done, total)))
    assert [candidate.text for candidate in picked.candidates] == [
        "𠀀王歸燕",
        "趙王曰。",
    ]  # a document's share is one of two
    assert picked.types == ("NR",)
    assert progress == [(1, 2), (2, 2)]
    again = pick_sentences(tagged, 2, {"𠀀王歸燕"})
    assert [candidate.text for candidate in again.candidates] == ["懷王曰善。", "趙王曰。"]
    assert len(pick_sentences(tagged, 100).candidates) == 5


def test_a_pool_that_was_too_small_is_widened(tmp_path):
    """A hundred segments that are alike and doubtful hide one that is neither."""
    text = "".join(f"懷王在{chr(0x4E00 + i)}曰善矣。" for i in range(100)) + "秦昭襄王去國遠。"
    rows = [found("a", 8 * i, "懷王", 0.1) for i in range(100)] + [found("a", 800, "秦", 0.9)]
    write_unit(tmp_path / "t", "u.parquet", [document("a", text)], rows, segments("a", text))
    picked = pick_sentences(tmp_path / "t", 2)
    assert [candidate.start for candidate in picked.candidates] == [0, 800]


def test_segments_of_a_document_that_is_not_there_are_an_error(tmp_path):
    write_unit(tmp_path / "t", "u.parquet", [document("a", "懷王。")], [], [*segments("b", "懷王。")])
    with pytest.raises(DataError, match="found segments of 'b'"):
        list(iter_candidates_by_document(tmp_path / "t"))


# ---- to a reviewer and back

lines = st.text(chars.filter(lambda char: char != "\n"), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)


@st.composite
def picks(draw):
    texts = draw(st.lists(lines, min_size=1, max_size=5, unique=True))
    return ChosenSentences(
        [
            ReviewCandidate(f"d/{i}", 7, 7 + len(text), text, draw(spans_in(len(text))), ())
            for i, text in enumerate(texts)
        ],
        TYPES,
    )


def labels(picked):
    return {candidate.text: candidate.spans for candidate in picked.candidates}


def export(out, change=lambda task, value: None):
    """What Label Studio exports of the tasks when each prediction was accepted as it was."""
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks):
        (prediction,) = task["predictions"]
        for region in prediction["result"]:
            change(task, region["value"])
        task |= {"id": number + 40, "annotations": [{"was_cancelled": False, "result": prediction["result"]}]}
    path = out / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def in_utf_16(task, value):
    for key in ("start", "end"):
        value[key] = len(task["data"]["text"][: value[key]].encode("utf-16-le")) // 2


@at_most(60)
@given(picks(), st.sampled_from(["label-studio", "evahan"]))
def test_what_was_not_changed_comes_back_as_it_was(tmp_path_factory, picked, to):
    out = tmp_path_factory.mktemp("r")
    write_review_folder(picked, out, to)
    provenance = read_provenance([out / "provenance.json"])
    path = export(out) if to == "label-studio" else out / "sentences.txt"
    corrected = read_corrections([path], provenance, TYPES)
    assert corrected.spans_by_text == labels(picked)
    assert (corrected.conflicts, corrected.unreviewed, corrected.count_changed(provenance)) == (0, 0, 0)
    write_corrections(corrected, provenance, out / "back.txt")
    back = read_labelled_file(out / "back.txt", types=TYPES)
    assert back.text == "".join(labels(picked))
    assert len(back.spans) == sum(map(len, labels(picked).values()))
    assert sum(len(example.spans) for example in split_labelled_text(back.text, back.spans)) == len(back.spans)
    rows = json.loads((out / "back.provenance.json").read_text(encoding="utf-8"))["sentences"]
    assert [(row["doc_id"], row["start"], row["text"]) for row in rows] == [
        (candidate.doc_id, candidate.start, candidate.text) for candidate in picked.candidates
    ]
    # The side-car of what came back is one, too: its texts are not offered again.
    assert read_provenance([out / "back.provenance.json"]).by_text.keys() == provenance.by_text.keys()


@given(picks())
def test_offsets_in_code_units_are_told_by_the_text_beside_them(tmp_path_factory, picked):
    out = tmp_path_factory.mktemp("r")
    write_review_folder(picked, out, "label-studio")
    provenance = read_provenance([out / "provenance.json"])
    spans = read_corrections([export(out, in_utf_16)], provenance, TYPES).spans_by_text
    for text, own in labels(picked).items():
        assert [(text[s.start : s.end], s.type) for s in spans[text]] == [(text[s.start : s.end], s.type) for s in own]


def test_beyond_the_bmp_both_ways_of_counting_come_to_the_same(tmp_path):
    picked = ChosenSentences(
        [ReviewCandidate("d", 0, 5, "𠀀𠀁懷王曰", (Span(1, 2, "NB"), Span(2, 4, "NR")), ())], TYPES
    )
    write_review_folder(picked, tmp_path, "label-studio")
    (task,) = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    values = [region["value"] for region in task["predictions"][0]["result"]]
    assert [(value["start"], value["end"], value["text"]) for value in values] == [(1, 2, "𠀁"), (2, 4, "懷王")]
    assert task["meta"].keys() == {"doc_id", "start", "end", "sha256"}
    provenance = read_provenance([tmp_path / "provenance.json"])
    for change in (lambda task, value: None, in_utf_16):
        assert read_corrections([export(tmp_path, change)], provenance, TYPES).spans_by_text == labels(picked)


def test_the_configuration_is_xml_with_a_label_for_each_type(tmp_path):
    types = ("NR", '"odd"&')
    write_review_folder(ChosenSentences([], types), tmp_path, "label-studio")
    root = ElementTree.fromstring((tmp_path / "config.xml").read_text(encoding="utf-8"))
    assert [label.get("value") for label in root.iter("Label")] == list(types)
    (text,) = root.iter("Text")
    (whole,) = root.iter("Labels")
    assert (text.get("value"), text.get("name")) == ("$text", whole.get("toName"))


def test_a_review_that_may_have_been_worked_on_is_not_overwritten(tmp_path):
    write_review_folder(ChosenSentences([], ()), tmp_path, "evahan")
    (tmp_path / "provenance.json").unlink()
    with pytest.raises(ConfigError, match=r"found sentences\.txt"):
        write_review_folder(ChosenSentences([], ()), tmp_path, "label-studio")


# ---- what came back otherwise

GIVEN = Provenance(
    ("NR", "NS"),
    {text: ReviewSentence("d", 0, len(text), "", text, ()) for text in ("懷王曰善。", "𠀀王歸燕")},
)


def task(text="懷王曰善。", regions=(), **more):
    result = [{"type": "labels", "value": value} for value in regions]
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": result, **more}]}


def region(start, end, entity_type="NR", **more):
    return {"start": start, "end": end, "labels": [entity_type], **more}


def corrected_of(tmp_path, tasks, types=("NR", "NS")):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return read_corrections([path], GIVEN, types)


def test_the_later_of_two_labellings_counts_and_the_conflict_is_counted(tmp_path):
    twice = task(regions=[region(0, 2)])
    twice["annotations"] += [{"result": [], "was_cancelled": True}, *task(regions=[region(0, 1)])["annotations"]]
    other = task("𠀀王歸燕", [region(3, 4, "NS")])
    skipped = task(was_cancelled=True)
    found = corrected_of(tmp_path, [twice, other, other, skipped])
    assert found.spans_by_text == {"懷王曰善。": (Span(0, 1, "NR"),), "𠀀王歸燕": (Span(3, 4, "NS"),)}
    assert (found.conflicts, found.unreviewed) == (1, 1)
    assert found.count_changed(GIVEN) == 2


def test_regions_of_other_kinds_are_passed_over(tmp_path):
    reviewed_task = task()
    reviewed_task["annotations"][0]["result"] = [
        {"type": "choices", "value": {"choices": ["odd"]}},
        {"type": "relation"},
    ]
    assert corrected_of(tmp_path, [reviewed_task]).spans_by_text == {"懷王曰善。": ()}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ({}, "a list of tasks"),
        ([1], "data.text"),
        ([{"data": {"text": 5}}], "data.text"),
        ([{"text": "懷王曰善。", "label": []}], "data.text"),
        ([{"data": {"text": "懷王曰善。"}}], "not as JSON-MIN"),
        ([task("懷玉曰善。")], "found '玉曰善。' where '王曰善。' stood, after 1 characters"),
        ([task("another")], "unchanged text"),
        ([task(regions=[region(3, 6)])], "inside the 5 characters of its text at [3, 6), found no such place"),
        ([task(regions=[region(2, 2)])], "found no such place"),
        ([task(regions=[region(-1, 2)])], "found no such place"),
        ([task(regions=[region(0, 2, text="王曰")])], "expected '王曰' at [0, 2), found '懷王'"),
        ([task("𠀀王歸燕", [region(1, 3, text="王歸"), region(4, 5, text="歸")])], "expected '歸' at [4, 5)"),
        ([task(regions=[region(0, 2), region(1, 3)])], "without overlaps, found NR '懷王' at [0, 2) and NR '王曰'"),
        ([task(regions=[region(0, 2, "NB")])], "expected a type of NR, NS, found 'NB'"),
        ([task(regions=[{"start": 0, "end": 1}])], "start, end and labels"),
        ([task(regions=[None])], "start, end and labels"),
        ([task(regions=[region("0", 1)])], "whole numbers"),
        ([task(regions=[{"start": 0, "end": 1, "labels": ["NR", "NS"]}])], "expected one label"),
    ],
)
def test_a_wrong_export_is_refused_by_one_line_that_names_file_and_task(tmp_path, tasks, expected):
    with pytest.raises(DataError) as caught:
        corrected_of(tmp_path, tasks)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "export.json"))
    assert expected in message
    assert "\n" not in message


GOOD = "懷\tB-NR\n王\tE-NR\n曰\tO\n善\tO\n。\tO\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\n" + GOOD.replace("善", "喜"), ":2: expected the unchanged text"),
        (GOOD + "\n" + GOOD.replace("曰\tO\n", ""), ":7: expected the unchanged text"),
        (GOOD + GOOD, ":1: expected the unchanged text"),
        (GOOD.replace("NR", "NX"), ":1: expected a type of NR, NS, found 'NX'"),
        (
            GOOD[:-4] + "。\tB-NR\n\n" + GOOD.replace("B-NR", "M-NR"),
            ":5: expected entities that end with their sentence",
        ),
    ],
)
def test_a_wrong_char_tab_tag_file_is_refused_by_one_line_that_names_the_line(tmp_path, content, expected):
    path = tmp_path / "c.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_corrections([path], GIVEN, ("NR", "NS"))
    assert str(caught.value).startswith(f"{path}{expected}")


def test_sentences_that_were_taken_out_of_a_file_are_not_training_data(tmp_path):
    path = tmp_path / "c.txt"
    path.write_bytes(("\n\n" + GOOD + "\n\n").replace("\n", "\r\n").encode())
    assert read_corrections([path], GIVEN, ("NR",)).spans_by_text == {"懷王曰善。": (Span(0, 2, "NR"),)}


def test_corrections_may_be_in_any_layout_that_is_recognised(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("text,entities\n懷王曰善。,懷王/NR\n", encoding="utf-8")
    assert read_corrections([path], GIVEN, ("NR",)).spans_by_text == {"懷王曰善。": (Span(0, 2, "NR"),)}
    path.write_text("text,entities\n懷王曰善。,懷王/NR\n懷王曰喜。,懷王/NR\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: text 2: expected the unchanged text"):
        read_corrections([path], GIVEN, ("NR",))


ROW = {"doc_id": "d", "start": 0, "end": 2, "text": "懷王", "sha256": hashlib.sha256("懷王".encode()).hexdigest()}


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", "[" * 100_000, '{"types": [], "sentences": [{}]}', '{"types": 1, "sentences": 2}'),
        *('{"types": ["NR", 2], "sentences": []}', '{"types": ["\\ud800"], "sentences": []}'),
        '{"types": [], "sentences": [{"text": "\\ud800", "sha256": ""}]}',
        json.dumps({"types": [], "sentences": [ROW]}),  # nothing was predicted
    ],
)
def test_a_side_car_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(DataError, match=str(path)):
        read_provenance([path])


def test_a_side_car_whose_text_was_changed_is_refused(tmp_path):
    write_review_folder(ChosenSentences([ReviewCandidate("d", 0, 2, "懷王", (), ())], ()), tmp_path, "evahan")
    path = tmp_path / "provenance.json"
    path.write_text(path.read_text(encoding="utf-8").replace("懷", "壞"), encoding="utf-8")
    with pytest.raises(DataError, match="digests"):
        read_provenance([path])


def test_what_comes_back_again_takes_the_place_of_what_came_before():
    corrected = Corrections()
    corrected.add("懷王", (), "a")
    corrected.add("懷王", (), "b")
    assert (corrected.conflicts, corrected.source_by_text) == (0, {"懷王": "b"})
    corrected.add("懷王", (Span(0, 2, "NR"),), "c")
    assert (corrected.conflicts, corrected.spans_by_text) == (1, {"懷王": (Span(0, 2, "NR"),)})
