"""Corrections: which of them hold where, what they change, and how they are read."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.corrections.applying import CorrectableText, correct_entities, restore_model_entities
from rayner.corpus.corrections.changes import find_changes, format_changes_as_csv
from rayner.corpus.corrections.correction import (
    SCOPES,
    Correction,
    digest_corrections,
    format_corrections,
    read_corrections_file,
    write_corrections_file,
)
from rayner.corpus.corrections.correction_files import CorrectionContext, list_changed_spans, read_correction_files
from rayner.corpus.corrections.counts import count_corrections
from rayner.corpus.corrections.precedence import CorrectionIndex
from rayner.corpus.reading import sha256_of_text
from rayner.corpus.review.provenance import Provenance, Review, ReviewSentence
from rayner.errors import ConfigError, DataError
from rayner.text.spans import Span
from tests.corpus.tagged_corpora import entity

DOC = "史記/卷七"
TEXT = "項籍者，下相人也，字羽。籍為楚將，項籍死。"


def here(start, text, entity_type, *, of=TEXT, **fields):
    end = start + len(text)
    around = {"before": of[max(0, start - 20) : start], "after": of[end : end + 20]}
    return Correction(DOC, start, end, text, entity_type, **{**around, **fields})


def correct(corrections, rows, text=TEXT, start=0, end=None, doc_id=DOC):
    part = CorrectableText(doc_id, text, start, len(text) if end is None else end)
    return correct_entities(part, rows, CorrectionIndex(corrections).find(doc_id))


def places(rows):
    return [(row["start"], row["text"], row["type"], row["decided_by"]) for row in rows]


MODEL = [entity(DOC, 0, "項籍"), entity(DOC, 12, "籍"), entity(DOC, 14, "楚", "NS"), entity(DOC, 17, "項籍", "NS")]


def test_a_correction_here_replaces_all_that_it_overlaps():
    corrected = correct([here(12, "籍為楚將", "O1")], MODEL)
    assert places(corrected.entities) == [
        (0, "項籍", "NR", "slm"), (12, "籍為楚將", "O1", "person"), (17, "項籍", "NS", "slm")
    ]  # fmt: skip
    assert corrected.replaced == MODEL[1:3]


def test_a_correction_here_without_a_type_removes_one_entity_only():
    assert correct([here(12, "籍", "")], MODEL).entities == [MODEL[0], *MODEL[2:]]
    assert correct([here(12, "籍為", "")], MODEL).entities == MODEL  # no entity has just these characters


def test_a_wide_correction_holds_for_mentions_but_not_for_parts_of_names():
    corrected = correct([here(17, "項籍", "NR", scope="document"), here(12, "籍", "NX", scope="corpus")], MODEL)
    assert places(corrected.entities) == [
        (0, "項籍", "NR", "slm"), (12, "籍", "NX", "person"), (14, "楚", "NS", "slm"), (17, "項籍", "NR", "person")
    ]  # fmt: skip
    added = correct([here(4, "下相", "NS", scope="corpus"), here(4, "下", "NS", scope="corpus")], MODEL).entities
    assert places(added)[1] == (4, "下相", "NS", "person")  # and the single character was not added


def test_what_is_narrower_or_later_holds():
    wide, narrow = here(0, "項籍", "NX", scope="corpus"), here(17, "項籍", "")
    for order in ([wide, narrow], [narrow, wide]):
        assert [place[:3] for place in places(correct(order, MODEL).entities)] == [
            (0, "項籍", "NX"), (12, "籍", "NR"), (14, "楚", "NS")
        ]  # fmt: skip
    later = correct([here(0, "項籍", "N1"), here(0, "項籍", "N2"), here(1, "籍", "N3", scope="book")], MODEL)
    assert places(later.entities)[0] == (0, "項籍", "N2", "person")
    assert later.found == {0, 1, 2}


@pytest.mark.parametrize(("scope", "doc_id", "holds"), [
    ("here", DOC, True), ("here", "史記/卷八", False), ("document", "史記/卷八", False), ("book", "史記/卷八", True),
    ("book", "漢書/卷一", False), ("corpus", "漢書/卷一", True),
])  # fmt: skip
def test_a_scope_says_in_which_documents_a_correction_holds(scope, doc_id, holds):
    one = here(17, "項籍", "NX", scope=scope)
    assert one.holds_in(doc_id) == holds
    assert bool(CorrectionIndex([one]).find(doc_id)) == holds


def test_a_correction_follows_its_text():
    one = here(12, "籍", "NX")
    moved = "太史公曰。" + TEXT
    assert places(correct([one], [entity(DOC, 17, "籍")], moved).entities) == [(17, "籍", "NX", "person")]
    changed = TEXT.replace("為楚", "爲楚")
    unfound = correct([one], MODEL[:2], changed)
    assert (unfound.entities, unfound.found) == (MODEL[:2], frozenset())
    assert correct([one], [], TEXT + TEXT).found == {0}  # at its offset, and again later
    assert correct([one], [], "。" + TEXT + TEXT).found == frozenset()  # at two places, neither at its offset
    assert "籍" in count_corrections([one], []).format_warning()
    assert "line 1" in count_corrections([one], []).unmatched[0]
    assert count_corrections([one], [0]).format_warning() is None


def test_what_the_models_said_stays_in_the_row():
    model = {**entity(DOC, 0, "項籍"), "slm_type": "NR", "slm_entropy": 0.5, "score": 0.25}
    row = correct([here(0, "項籍", "NS")], [model]).entities[0]
    assert (row["slm_type"], row["slm_entropy"], row["llm_type"], row["score"]) == ("NR", 0.5, None, 1.0)


TYPES = st.sampled_from(["NR", "NS", ""])


@st.composite
def corrected_texts(draw):
    text = draw(st.text("人王楚。", min_size=1, max_size=24))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    rows = [
        entity(DOC, a, text[a:b], draw(TYPES.filter(bool))) for a, b in pairwise(cuts) if draw(st.booleans())
    ]  # fmt: skip
    corrections = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 4)))
        corrections.append(here(start, text[start:end], draw(TYPES), of=text, scope=draw(st.sampled_from(SCOPES))))
    return text, rows, corrections


@given(corrected_texts())
def test_entities_never_overlap_and_the_models_are_restored(case):
    text, rows, corrections = case
    corrected = correct(corrections, rows, text)
    assert all(a["end"] <= b["start"] for a, b in pairwise(corrected.entities))
    assert all(text[row["start"] : row["end"]] == row["text"] for row in corrected.entities)
    assert restore_model_entities(corrected.entities, corrected.replaced) == rows
    assert all(row in rows for row in corrected.entities if row["decided_by"] != "person")
    assert all(row["decided_by"] != "person" for row in corrected.replaced)
    last = next((one for one in reversed(corrections) if one.scope == "here"), None)
    if last is not None:  # nothing comes before it
        found = [row["type"] for row in corrected.entities if (row["start"], row["end"]) == (last.start, last.end)]
        assert found == ([last.type] if last.type else [])
    assert correct([], rows, text).entities == rows


@given(corrected_texts(), st.data())
def test_a_text_in_parts_is_corrected_as_a_whole(case, data):
    text, rows, corrections = case
    whole = correct(corrections, rows, text)
    decided = [*corrected_ranges(corrections, text), *((row["start"], row["end"]) for row in rows)]
    cuts = [at for at in range(1, len(text)) if not any(start < at < end for start, end in decided)]
    cut = data.draw(st.sampled_from(cuts)) if cuts else len(text)
    parts = [
        correct(corrections, [row for row in rows if start <= row["start"] < end], text, start, end)
        for start, end in ((0, cut), (cut, len(text)))
    ]
    assert [row for part in parts for row in part.entities] == whole.entities
    assert [row for part in parts for row in part.replaced] == whole.replaced
    assert parts[0].found | parts[1].found == whole.found


def corrected_ranges(corrections, text):
    """Every place where the text of a correction stands."""
    for one in corrections:
        yield from ((i, i + len(one.text)) for i in range(len(text)) if text.startswith(one.text, i))


NASTY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(NASTY, NASTY, NASTY, NASTY), max_size=4))
def test_corrections_jsonl_keeps_every_character(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("jsonl") / "corrections.jsonl"
    corrections = [Correction(doc, 3, 3 + len(text), text, "NR", "here", a, b) for doc, text, a, b in drawn]
    write_corrections_file(corrections, path)
    assert read_corrections_file(path) == corrections
    assert read_correction_files([path], CorrectionContext()) == corrections
    assert digest_corrections(corrections) == (sha256_of_text(format_corrections(corrections)) if corrections else "")


def read(tmp_path, name, content, context=None):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_correction_files([path], context or CorrectionContext())


def page_file(**changes):
    row = {
        "doc_id": DOC,
        "start": 0,
        "end": 2,
        "text": "項籍",
        "type": "NS",
        "scope": "book",
        "before": "",
        "after": "者",
    }
    return json.dumps({"format": "rayner-corrections", "format_version": 1, "corrections": [{**row, **changes}]})


def test_a_file_of_the_page_is_read(tmp_path):
    found = read(tmp_path, "saved.json", page_file())
    assert found == [Correction(DOC, 0, 2, "項籍", "NS", "book", "", "者", "saved.json")]


@pytest.mark.parametrize(("changes", "message"), [
    ({"end": 3}, r"saved.json: correction 1: expected a text and its place.*\[0, 3\)"),
    ({"scope": "world"}, "expected scope here, document, book, corpus, found 'world'"),
    ({"type": "N R"}, "expected a type without white space"), ({"start": "0"}, "start"), ({"type": 3}, "type"),
    ({"start": -2, "end": 0}, "expected a text and its place"), ({"text": "\ud800籍"}, "expected a correction"),
    ({"word": "x"}, "word"),
])  # fmt: skip
def test_a_correction_that_makes_no_sense_is_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, "saved.json", page_file(**changes))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.json", '{"format": "other"}', "expected format 'rayner-corrections'"),
    ("a.json", '{"format": "rayner-corrections", "format_version": 1, "corrections": 3}', "a list of corrections"),
    ("a.json", "{", "expected JSON"), ("a.jsonl", "[]\n", "a.jsonl:1: expected a correction, found"),
    ("a.jsonl", '{"doc_id": "x"', "expected a line break at the end"),
    ("a.csv", "doc_id,start\nx,1\n", "a.csv:1: expected columns doc_id, start, end, text, type, found no end"),
    ("a.csv", "doc_id,start,end,text,type\nx,one,2,王,NR\n", "a.csv:2: expected whole numbers"),
    ("a.csv", "doc_id,start,end,text,type\nx,1,2\n", "a.csv:2: expected 5 cells, found fewer"),
    ("a.csv", 'doc_id,start,end,text,type\nx,1,2,"王,NR\n', "a.csv:.*expected a row of CSV"),
])  # fmt: skip
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, name, content)


def test_a_table_is_read_with_and_without_a_scope(tmp_path):
    table = "\ufeffdoc_id,start,end,text,type,scope,left\nx,1,2,王,NR,corpus,a\nx,3,5,楚王,,,b\n"
    found = read(tmp_path, "a.csv", table, CorrectionContext(scope="book"))
    assert [(one.type, one.scope, one.source) for one in found] == [("NR", "corpus", "a.csv"), ("", "book", "a.csv")]


def test_whole_sentences_give_what_differs_from_the_prediction(tmp_path):
    predicted = (Span(0, 2, "NR"), Span(4, 6, "NR"))
    sentence = ReviewSentence(DOC, 100, 111, sha256_of_text(TEXT[:11]), TEXT[:11], predicted)
    provenance = Provenance(("NR", "NS"), {sentence.text: sentence}, (Review((sentence,), None),))
    context = CorrectionContext(provenance, {"NR", "NS"})
    tags = ["B-NR", "E-NR", "O", "O", "O", "O", "O", "O", "O", "O", "S-NS"]
    content = "".join(f"{char}\t{tag}\n" for char, tag in zip(TEXT, tags, strict=False))
    found = read(tmp_path, "a.txt", content, context)
    assert [(one.start, one.text, one.type, one.after) for one in found] == [
        (104, "下相", "", "人也，字羽"), (110, "羽", "NS", "")
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="--from"):
        read(tmp_path, "a.txt", content)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), TYPES.filter(bool)), max_size=8), st.data())
def test_applying_what_differs_gives_the_corrected_sentence(drawn, data):
    def choose():
        spans, end = [], 0
        for start, length, entity_type in sorted(data.draw(st.permutations(drawn))[: len(drawn) // 2]):
            if start >= end:
                spans.append(Span(start, start + length, entity_type))
                end = start + length
        return spans

    text, (predicted, wanted) = "一二三四五六七八九十甲乙", (choose(), choose())
    rows = [entity(DOC, span.start, text[span.start : span.end], span.type) for span in predicted]
    changed = list_changed_spans(predicted, wanted)
    corrections = [here(span.start, text[span.start : span.end], span.type, of=text) for span in changed]
    corrected = correct(corrections, rows, text).entities
    assert [Span(row["start"], row["end"], row["type"]) for row in corrected] == wanted


def test_changes_are_listed_with_their_context():
    corrected = correct([here(12, "籍為楚將", "O1"), here(0, "項籍", "")], MODEL)
    changes = list(find_changes(MODEL, corrected.entities, TEXT))
    assert [change.format_line() for change in changes] == [
        f"{DOC}\t0\t[項籍]者，下相人也，字羽。籍為楚將，項籍死。\t項籍 NR -> -",
        f"{DOC}\t12\t項籍者，下相人也，字羽。[籍為楚將]，項籍死。\t籍 NR, 楚 NS -> O1",
    ]
    assert list(find_changes(MODEL, MODEL, TEXT)) == []


def test_the_most_doubtful_mentions_come_first_in_a_table_that_is_read_again(tmp_path):
    rows = [{**entity(DOC, 0, "項籍"), "score": 0.875}, {**entity(DOC, 17, "項籍"), "score": 0.25}]
    after = correct([here(0, "項籍", "NS", scope="corpus")], rows).entities
    table = format_changes_as_csv(find_changes(rows, after, TEXT))
    found = read(tmp_path, "more.csv", table)
    assert [(one.start, one.type, one.scope) for one in found] == [(17, "NS", "here"), (0, "NS", "here")]
    assert replace(found[0], start=0, end=2) == found[1]
