"""Spreadsheets of labels: CSV with any separator and XLSX, in both shapes, and what is wrong in them by its row."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.labelled_files import describe_labelled_file, read_labelled_file
from rayner.corpus.labels.sheets import xlsx_file
from rayner.errors import DataError
from rayner.text.spans import Span
from tests.corpus.difficult_texts import tagged_texts
from tests.corpus.labels.xlsx_writer import xlsx_bytes
from tests.strategies import at_most

PLACE = "text,start,end,label"
TWO_TEXTS = [("懷王入秦。", [("懷王", "NR"), ("秦", "NS")]), ("不反", [])]


@pytest.mark.parametrize("cell", [
    "懷王/NR; 秦/NS", "懷王/NR；秦/NS", "懷王:NR, 秦:NS", "懷王：NR、秦：NS", "懷王(NR) 秦（NS）", "秦@3/NS;懷王@0/NR",
    "0-2/NR; 3-4/NS",
    '[[0, 2, "NR"], [3, 4, "NS"]]', "[(0, 2, 'NR'), (3, 4, 'NS')]", '[["懷王", "NR"], ["秦", "NS"]]',
    '[{"start": 0, "end": 2, "label": "NR"}, {"text": "秦", "type": "NS"}]',
    '[{"start_offset": 0, "end_offset": 2, "label": "NR"}, {"start": 3, "text": "秦", "labels": ["NS"]}]',
    '{"NR": ["懷王"], "NS": ["秦"]}', '{"懷王": "NR", "秦": "NS"}',
])  # fmt: skip
def test_every_spelling_of_a_cell(read, cell):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["text", "entities"], ["懷王入秦。", cell], ["不反", ""]])
    assert read(stream.getvalue()) == TWO_TEXTS


@pytest.mark.parametrize("header", [
    "text,entities", "Sentence,Annotations", "原文,實體", "原文,实体", "文本,標註", "text,label", "text,labels",
    "id,text,entities",
])  # fmt: skip
def test_headers_of_texts_with_a_cell(read, header):
    before = "7," * (header.count(",") - 1)
    assert read(f'{header}\n{before}懷王入秦。,"懷王/NR, 秦/NS"\n{before}不反,\n') == TWO_TEXTS


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [
    "text start end label", "Text Start_Offset End-Offset Type", "原文 起始 結束 類型", "原文 開始 结束 标签",
])  # fmt: skip
def test_an_entity_a_row_with_offsets(read, separator, header):
    rows = f"{header}\n懷王入秦。 0 2 NR\n懷王入秦。 3 4 NS\n不反   \n"
    assert read("\ufeff" + rows.replace(" ", separator).replace("\n", "\r\n")) == TWO_TEXTS


def test_an_entity_a_row_by_its_string_where_an_empty_cell_means_the_text_above(read):
    assert read("sep=;\n原文;實體;類型\n懷王入秦。;懷王;NR\n;秦;NS\n\n;;\n不反;;\n") == TWO_TEXTS


def test_a_string_that_occurs_twice_needs_its_offset(read, refusal):
    rows = "text,entity,label\n秦伐楚。,楚,NG\n楚人伐楚。,楚,NG\n"
    assert refusal(rows, name="a.csv") == (
        "a.csv:3: expected the offset of '楚', because its text has it 2 times, at 0, 3; found no offset: give it in a "
        "column named start, or in a cell as 楚@0/NG"
    )
    assert read("text,entity,start,label\n楚人伐楚。,楚,3,NG\n") == [("楚人伐楚。", [("楚", "NG")])]
    # All occurrences are given, or one of them lies inside another entity: there is one way to read it.
    assert read(rows + "楚人伐楚。,楚,NG\n")[1] == ("楚人伐楚。", [("楚", "NG"), ("楚", "NG")])
    assert read("text,entities\n楚王伐楚。,楚王/NR; 楚/NG\n") == [("楚王伐楚。", [("楚王", "NR"), ("楚", "NG")])]


def test_copies_of_a_text_are_one_text_with_all_entities(read, refusal, tmp_path):
    """As in a table that is sorted by entity, or that has a sentence twice."""
    rows = "text,entity,label\n楚王入秦,楚王,NR\n不反,,\n楚王入秦,楚王,NR\n楚王入秦,秦,NS\n不反,,\n"
    assert read(rows, name="a.csv") == [("楚王入秦", [("楚王", "NR"), ("秦", "NS")]), ("不反", [])]
    assert read_labelled_file(tmp_path / "a.csv").faults["repeated_entities"] == 1
    # Each copy gives one of two places: it is not known which.
    assert "labels:2: expected the offset" in refusal("text,entity,label\n楚伐楚,楚,NS\n不反,,\n楚伐楚,楚,NS\n")
    overlapping = "text,entity,label\n楚王入秦,楚王,NR\n不反,,\n楚王入秦,王,NO\n"
    assert "labels:4: expected entities without overlaps, found NO '王' at [1, 2) and NR" in refusal(overlapping)


def test_copies_of_a_text_are_apart_if_a_column_names_documents(read):
    rows = f"doc_id,{PLACE}\n1,楚人,0,1,NG\n2,楚人,0,1,NG\n"
    assert read(rows) == [("楚人", [("楚", "NG")])] * 2


@pytest.mark.parametrize(("rows", "expected"), [
    ("text,entities\n甲乙,丙/NR\n", "a.csv:2: expected the entity '丙' in its text, found it nowhere in '甲乙'"),
    ("text,entities\n甲乙,甲乙\n", "a.csv:2: expected entities such as 屈原/NR; 楚/NS"),
    ('text,entities\n甲乙,"[[0, 1]]"\n', "a.csv:2: expected an entity as [start, end, type], [string, type] or an"),
    ('text,entities\n甲乙,"[0, 1"\n', "a.csv:2: expected entities such as"),
    ("text,entities\n,甲/NR\n", "a.csv:2: expected a text, found an empty cell"),
    ("text,entities\n甲乙,甲/NR,\n", "a.csv:2: expected 2 columns, as in the header, found 3; a cell with the sep"),
    ('text,entities\n"甲"乙,甲/NR\n', "a.csv:2: expected cells of a CSV file, found: ',' expected after '\"'"),
    ('text,entities\n"甲\n乙",甲/NR\n丙,丁/NR\n', "a.csv:4: expected the entity '丁'"),
    ("text,content,label\n甲,甲,NR\n", "a.csv:1: expected one column for the text, found 'text' and 'content'"),
    (f"{PLACE},entity\n屈原,0,1,NR,屈原\n", "found '屈'; the ends seem to be included: if all are, add 1 to each end"),
    (f"{PLACE},entity\n屈原,1,3,NR,屈原\n", "no such place; the offsets seem to count from 1: if all do, subtract 1"),
    (f"{PLACE},entity\n屈原,0,3,NR,屈原\n", "found no such place; its text has it at 0"),
    (f"{PLACE},entity\n𠀀屈原,2,4,NR,屈原\n", "no such place; the offsets seem to count UTF-16 units"),
    (f"{PLACE},entity\n楚屈原,3,9,NR,屈原\n", "the offsets seem to count bytes of UTF-8"),
    (f"{PLACE},entity\n楚屈原,0,2,NR,屈原\n", "expected '屈原' at [0, 2), found '楚屈'; its text has it at 1"),
    (f"{PLACE}\n甲乙,1,1,NR\n", "the end is the offset behind the last character"),
    (f"{PLACE}\n甲乙,1,3,NR\n", "a.csv:2: expected an entity inside the 2 characters of its text at"),
    (f"{PLACE}\n甲乙,x,3,NR\n", "a.csv:2: expected a whole number for the start, found 'x'"),
    (f"{PLACE}\n甲乙,0,,NR\n", "a.csv:2: expected the entity's string, or its start and end, found neither"),
    (f"{PLACE}\n甲乙,0,1,\n", "a.csv:2: expected the type of an entity, found an empty cell"),
    (f"{PLACE}\n甲乙,0,1,N R\n", "a.csv:2: expected a type without white space, <, >, / and &, found 'N R'"),
    (f"{PLACE}\n甲乙丙,0,2,NR\n甲乙丙,1,3,NS\n", "a.csv:3: expected entities without overlaps, found NS '乙丙' "
     "at [1, 3) and NR '甲乙' at [0, 2) (a.csv:2); keep one of them"),
    ("doc_id,start,end,type,text,score,decided_by,left,right\na,0,1,NR,甲,,slm,,\n", "found rayner's CSV export"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_row(refusal, rows, expected):
    assert expected in refusal(rows, name="a.csv")


def test_a_header_that_names_nothing_is_told(refusal):
    message = refusal("甲,乙\n屈原,NR\n", "csv", "a.csv")
    assert message.startswith("a.csv:1: expected a header that names the columns: text and entities, or text, start,")
    assert "found '甲,乙'" in message


@pytest.mark.parametrize("share_strings", [True, False])
def test_xlsx_in_both_shapes(read, share_strings):
    cells = [["text", "entities"], ["懷王入秦。", "懷王/NR; 秦/NS"], [], ["不反", ""]]
    rows = [["原文", "始", "start", "end", "label"], ["懷王入秦。", "", 0, 2, "NR"], ["", "", 3, 4, "NS"], ["不反"]]
    for sheet in (cells, rows):
        sheets = {"說明": [["讀我"]], "labels": sheet}
        assert read(xlsx_bytes(sheets, share_strings=share_strings)) == TWO_TEXTS


def test_what_is_wrong_in_xlsx_is_told_with_its_sheet_and_row(refusal):
    rows = [["text", "entities"], [], ["楚人伐楚。", "楚/NG"]]
    assert refusal(xlsx_bytes({"甲": rows}), name="a.xlsx").startswith("a.xlsx: sheet 甲, row 3: expected the offset")
    assert "found '名', '值'" in refusal(xlsx_bytes({"甲": [["名", "值"]]}))
    assert refusal(xlsx_bytes({"甲": rows, "乙": rows})).endswith(
        "expected one sheet with labels, found 甲, 乙; put them into one"
    )
    assert "found no cells" in refusal(xlsx_bytes({"甲": []}))


def test_strings_of_xlsx_in_parts_and_with_reading_aids(read):
    strings = (
        "<sst><si><r><t>te</t></r><r><t>xt</t></r></si><si><t>label</t></si>"
        "<si><t>楚</t><rPh><t>so</t></rPh></si></sst>"
    )
    sheet = (
        "<worksheet><sheetData><row><c t='s'><v>0</v></c><c t='s'><v>1</v></c></row>"
        "<row><c t='s'><v>2</v></c><c t='str'><f>A1</f><v>楚/NG_x000A_</v></c></row></sheetData></worksheet>"
    )
    parts = {"xl/sharedStrings.xml": strings, "xl/worksheets/sheet1.xml": sheet}
    assert read(xlsx_bytes({"甲": []}, parts=parts)) == [("楚", [("楚", "NG")])]


def test_hostile_xlsx_is_refused(refusal, monkeypatch):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'
    assert "expected XML without entities of its own, found the entity 'a'" in refusal(
        xlsx_bytes({"甲": []}, parts={"xl/sharedStrings.xml": bomb})
    )
    monkeypatch.setattr(xlsx_file, "MAX_PART_BYTES", 1000)
    assert "found xl/sharedStrings.xml with more than 1,000 bytes; save it again, without a password, or" in refusal(
        xlsx_bytes({"甲": []}, parts={"xl/sharedStrings.xml": "<sst>" + " " * 1000 + "</sst>"})
    )
    for cell, expected in (
        ("<c r='ZZZ1'><v>1</v></c>", "expected at most 16,384 columns, found ZZZ1"),
        ("<c r='A1' t='s'><v>7</v></c>", "expected a cell with a string of the spreadsheet, found '7'"),
        ("<c r='A1' t='e'><v>#REF!</v></c>", "expected cells without errors, found #REF!"),
        ("<c r='1A'><v>7</v></c>", "expected cells such as B12, found '1A'"),
        ("<c", "labels: xl/worksheets/sheet1.xml:1: expected well-formed XML, found: not well-formed"),
    ):
        assert expected in refusal(
            xlsx_bytes({"甲": []}, parts={"xl/worksheets/sheet1.xml": f"<worksheet>{cell}</worksheet>"})
        )
    assert "looks like a damaged ZIP archive or spreadsheet" in refusal(xlsx_bytes({"甲": []})[:-30])


def test_xlsx_with_any_damaged_byte_is_read_or_refused(read):
    data = xlsx_bytes({"甲": [["text", "entities"], ["楚人", "楚/NG"]]})
    messages = []
    for i in range(len(data)):
        try:
            read(data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :])
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > len(data) / 2
    assert all("\n" not in message for message in messages)


def test_what_was_read_is_told_in_one_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,entities\n楚人,楚/NG\n懷王,懷王/NR\n", encoding="utf-8")
    assert describe_labelled_file(read_labelled_file(path)) == (
        f"{path} was read as a spreadsheet (CSV, commas), a text with its entities a row; 2 texts, 2 entities of "
        "2 types"
    )


TABLES = st.lists(tagged_texts().filter(lambda tagged: tagged[0].strip()), min_size=1, max_size=4)


def rows_of(table, shape):
    if shape == "cell":
        cells = [(text, json.dumps([[s.start, s.end, s.type] for s in spans])) for text, spans in table]
        return [["text", "entities"], *map(list, cells)]
    rows = [["text", "doc_id", "start", "end", "label", "entity"]]
    for i, (text, spans) in enumerate(table):
        rows += [[text, f"d{i}", s.start, s.end, s.type, text[s.start : s.end]] for s in spans]
        rows += [] if spans else [[text, f"d{i}", "", "", "", ""]]
    return rows


@at_most(40)
@given(TABLES, st.sampled_from(["cell", "row"]), st.sampled_from([",", ";", "\t", "xlsx"]), st.booleans())
def test_any_table_comes_back(tmp_path_factory, table, shape, file_format, flag):
    rows = rows_of(table, shape)
    path = tmp_path_factory.mktemp("any") / "table"
    if file_format == "xlsx":
        path.write_bytes(xlsx_bytes({"甲": rows}, share_strings=flag))
    else:
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=file_format).writerows(rows)
        path.write_bytes(stream.getvalue().encode("utf-8-sig" if flag else "utf-8"))
    labelled = read_labelled_file(path)
    assert labelled.layout == ("xlsx" if file_format == "xlsx" else "csv")
    assert [labelled.text[a:b] for a, b in labelled.text_bounds()] == [text for text, _ in table]
    starts = [a for a, _ in labelled.text_bounds()]
    expected = [s.shift(start) for start, (_, spans) in zip(starts, table, strict=True) for s in spans]
    assert list(labelled.spans) == expected
    assert all(isinstance(span, Span) for span in labelled.spans)
