"""Each format, read back to the same text and entities."""

import io
import json
import re
import uuid

import conllu
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rayner.corpus.exports import EXPORT_FORMATS, ExportCounts, ExportOptions, export_corpus
from rayner.corpus.exports.tei import rate_certainty
from rayner.errors import DataError
from rayner.runs.storage import remove_folder, storage_path
from rayner.text.spans import Span
from tests.corpus import export_readers
from tests.corpus.difficult_texts import PLAIN, SPANS, TEXT, tagged_texts, write_corpus
from tests.strategies import at_most

TEXTS = {"史/nasty": (TEXT, SPANS), "史/空": ("", []), "plain": ("懷王曰。\n楚", [Span(0, 2, "NR"), Span(5, 6, "NG")])}
EXACT = {
    "conll": export_readers.read_conll,
    "jsonl": export_readers.read_jsonl,
    "tei": export_readers.read_tei,
    "label-studio": export_readers.read_label_studio,
    "webanno": export_readers.read_webanno,
    "brat": export_readers.read_brat,
    "markup": export_readers.read_markup,
    "docusky": export_readers.read_docusky,
    "markus": export_readers.read_markus,
}


def exported(texts, name, **choices):
    """The files, and what the export said it wrote; all in memory, as examples are many and disks slow."""
    folder = storage_path(f"memory://exports-{name}-{uuid.uuid4().hex}")
    try:
        write_corpus(folder / "tagged", texts)
        counts = export_corpus(
            folder / "tagged", folder / "out", EXPORT_FORMATS[name], options=ExportOptions(**choices)
        )
        return export_readers.read_files_at_url(folder / "out"), counts
    finally:
        remove_folder(folder)


def total(texts):
    return ExportCounts(
        len(texts), sum(len(text) for text, _ in texts.values()), sum(len(spans) for _, spans in texts.values())
    )


@pytest.mark.parametrize("name", EXACT)
def test_nasty_texts_come_back(name):
    out, counts = exported(TEXTS, name)
    assert EXACT[name](out) == TEXTS
    assert counts == total(TEXTS)


@pytest.mark.parametrize("name", [name for name in EXACT if name != "brat"])
@given(tagged=tagged_texts())
def test_any_text_comes_back(name, tagged):
    out, counts = exported({"d": tagged}, name)
    assert EXACT[name](out) == {"d": tagged}
    assert counts == total({"d": tagged})


@given(tagged_texts())
def test_any_text_comes_back_in_brat_but_for_entities_of_white_space(tagged):
    text, spans = tagged
    held = [span for span in spans if text[span.start : span.end].strip()]
    out, counts = exported({"d": tagged}, "brat")
    assert export_readers.read_brat(out) == {"d": (text, held)}
    assert counts == total({"d": (text, held)})


def test_brat_leaves_out_what_it_cannot_hold():
    texts = {"d": ("甲\n\t乙 ", [Span(0, 1, "NR"), Span(1, 3, "T"), Span(3, 5, "NS")])}
    out, counts = exported(texts, "brat")
    expected = "T1\tNR 0 1\t甲\n#1\tAnnotatorNotes T1\tscore=0.95 decided_by=agree\n"
    expected += "T2\tNS 3 5\t乙 \n#2\tAnnotatorNotes T2\tscore=0.25 decided_by=llm\n"
    assert out["d.ann"].decode() == expected
    assert counts == ExportCounts(1, 5, 2)
    conf = out["annotation.conf"].decode().split("\n")
    assert {"[entities]", "NR", "NS", "[relations]", "[events]", "[attributes]"} < set(conf)


@given(tagged_texts())
def test_bioes_too(tagged):
    out, _ = exported({"d": tagged}, "conll", scheme="BIOES")
    assert export_readers.read_conll(out) == {"d": tagged}


def test_conll_lines():
    texts = {"d": ("楚 懷\n\n王\n。", [Span(0, 1, "NG"), Span(2, 6, "NR")])}
    lines = "楚\t{}-NG\n\\u0020\tO\n懷\tB-NR\n\\u000a\tI-NR\n\\u000a\tI-NR\n王\t{}-NR\n\n。\tO\n"
    for scheme, first, last in (("BIO", "B", "I"), ("BIOES", "S", "E")):
        out, _ = exported(texts, "conll", scheme=scheme)
        assert out["d.conll"].decode() == lines.format(first, last)


@given(tagged_texts(PLAIN))
def test_conllu_reads_the_sentences(tagged):
    text, spans = tagged
    spans = [span for span in spans if "\n" not in text[span.start : span.end]]
    out, _ = exported({"d": (text, spans)}, "conll")
    content = out["d.conll"].decode()
    read = conllu.parse_incr(io.StringIO(content), fields=["form", "tag"], field_parsers={})
    assert ["".join(token["form"] for token in sentence) for sentence in read] == [
        line for line in text.split("\n") if line
    ]


@given(tagged_texts(PLAIN))
def test_web_anno_tsv_reads_what_it_can(tagged):
    text, spans = tagged
    spans = [span for span in spans if "\n" not in text[span.start : span.end]]
    out, _ = exported({"d": (text, spans)}, "webanno")
    if text and text[0] != "\n":
        assert export_readers.read_webanno_sentences(out["d.tsv"]) == (text, spans)


@given(tagged_texts(PLAIN))
def test_markup_is_xml_where_the_text_may_be(tagged):
    out, _ = exported({"d": tagged}, "markup")
    assert export_readers.read_markup_as_xml(out) == {"d": tagged}


@given(tagged_texts())
def test_html_readers_find_in_markus_what_xml_readers_find(tagged):
    out, _ = exported({"d": tagged}, "markus")
    assert export_readers.read_markus_as_html(out) == {"d": tagged}


def test_docusky_gets_its_own_elements_and_is_told_of_others():
    texts = {"史/a": ("懷王\n入秦", [Span(0, 2, "NR"), Span(4, 5, "NG")]), "b": ("\x01", [])}
    out, _ = exported(texts, "docusky")
    root = etree.fromstring(out["part-00000.xml"])
    assert root.tag == "ThdlPrototypeExport"
    assert [d.get("filename") for d in root.iterfind("documents/document")] == ["史/a", "b"]
    content = "<Paragraph><PersonName>懷王</PersonName>\n</Paragraph><Paragraph>入<Udef_NG>秦</Udef_NG></Paragraph>"
    assert f"<doc_content>{content}</doc_content>" in out["part-00000.xml"].decode()
    assert '<doc_content><Paragraph><Udef_Char RefId="U+0001"/></Paragraph>' in out["part-00000.xml"].decode()
    (tag,) = root.iterfind("corpus/feature_analysis/tag")
    assert dict(tag.attrib) == {"type": "contentTagging", "name": "Udef_NG", "default_category": "Udef_NG",
                                "default_sub_category": "-"}  # fmt: skip
    assert root.find("corpus/feature_analysis/spotlight").get("title") == "NG"


def test_names_of_documents_come_back_too():
    name = '史/\t<甲>&\n"乙"\r𠀋'
    assert list(export_readers.read_docusky(exported({name: ("楚", [])}, "docusky")[0])) == [name]
    div = etree.fromstring(exported({name: ("楚", [])}, "markus")[0][f"{name}.html"])
    assert div.get("filename") == f"{name.replace('/', '-')}.html"


def test_markus_gets_its_own_tags_and_is_told_of_others():
    out, _ = exported({"史/a": ("懷王\n入秦", [Span(0, 2, "NR"), Span(4, 5, "NG")])}, "markus")
    div = etree.fromstring(out["史/a.html"])
    assert (div.get("class"), div.get("filename")) == ("doc", "史-a.html")
    assert {name: button["buttonName"] for name, button in json.loads(div.get("tag")).items()} == {
        "fullName": "&#(22995);&#(21517);",
        "NG": "NG",
    }
    spans = [(e.get("class"), e.text) for e in div.iter("span") if "markup" in e.get("class")]
    assert spans == [("markup manual unsolved fullName", "懷王"), ("markup manual unsolved NG", "秦")]


@pytest.mark.parametrize(
    ("name", "entity_type"), [("docusky", "Char"), ("docusky", "甲"), ("markus", "odd"), ("markus", "a b")]
)
def test_a_type_that_has_no_element_is_refused(name, entity_type):
    with pytest.raises(DataError, match="expected a type that the format can write, found"):
        exported({"d": ("楚", [Span(0, 1, entity_type)])}, name)


@pytest.mark.slow  # lxml takes many seconds to read TEI's schema
def test_tei_is_valid_and_says_how_sure_and_who_decided():
    schema = export_readers.load_tei_schema()
    types = ("NR", "NS", "NO", "NB", "T", "NG", "ZD", "ZZ", "ZF", "ZP", "ZS", "ZA", "X1")
    every = "甲" * len(types), [Span(i, i + 1, entity_type) for i, entity_type in enumerate(types)]
    odd = {"a\x01&<\ue000": ("", []), "every": every}
    out, _ = exported(TEXTS | odd, "tei")
    for data in out.values():
        root = etree.fromstring(data)
        schema.assertValid(root)
        ids = {f"#{name}" for name in root.xpath("//@xml:id")}
        assert ids >= set(root.xpath("//@ref | //@resp"))
    assert export_readers.read_tei(out) == TEXTS | odd
    root = etree.fromstring(out["every.xml"])
    found = [(e.tag.removeprefix(export_readers.TEI), e.get("cert"), e.get("resp")) for e in root.find(".//{*}ab")]
    assert found[:4] == [
        ("persName", "high", "#agree"),
        ("placeName", "medium", "#slm"),
        ("roleName", "low", "#llm"),
        ("title", "unknown", "#slm"),
    ]
    assert rate_certainty(None, "person") == "high"
    assert [rate_certainty(score) for score in (1.0, 0.9, 0.89, 0.5, 0.49, None)] == [
        "high", "high", "medium", "medium", "low", "unknown"
    ]  # fmt: skip


@pytest.mark.slow
@at_most(20)
@given(tagged_texts())
def test_tei_of_any_text_is_valid(tagged):
    out, _ = exported({"d": tagged}, "tei")
    export_readers.load_tei_schema().assertValid(etree.fromstring(out["d.xml"]))


def shown_on_one_line(text):
    r"""The text with a sign for each end of a line as Python's `splitlines` finds them; `\r\n` is one."""
    return "".join(line if line.splitlines() == [line] else "↵" for line in re.findall(r"\r\n|.", text, flags=re.S))


def rows_of(texts):
    return [
        {
            "doc_id": doc_id,
            "start": str(s.start),
            "end": str(s.end),
            "type": s.type,
            "text": text[s.start : s.end],
            "score": ("0.95", "0.6", "0.25", "")[i % 4],
            "decided_by": ("agree", "slm", "llm", "slm")[i % 4],
            "left": shown_on_one_line(text[max(0, s.start - 20) : s.start]),
            "right": shown_on_one_line(text[s.end :][:20]),
        }
        for doc_id, (text, spans) in texts.items()
        for i, s in enumerate(spans)
    ]


@given(tagged_texts(), st.booleans())
def test_csv_rows_come_back(tagged, bom):
    texts = TEXTS | {"d,\"e'\n": tagged}
    out, _ = exported(texts, "csv", bom=bom)
    assert export_readers.read_csv(out) == rows_of(texts)
    data = out["part-00000.csv"]
    assert data.startswith(b"\xef\xbb\xbf" * bom + b"doc_id,start,end,type,text,score,decided_by,left,right\r\n")


def test_a_row_of_csv_is_one_line_whatever_surrounds_the_name():
    text = "楚\r\n王\n\u2028懷\x85曰\v"
    out, _ = exported({"d": (text, [Span(6, 7, "NR")])}, "csv")
    rows = out["part-00000.csv"].decode().splitlines()
    assert rows[1:] == ["d,6,7,NR,懷,0.95,agree,楚↵王↵↵,↵曰↵"]


@at_most(5)
@given(st.lists(tagged_texts(), max_size=5))
def test_datasets_opens_the_folder(tagged):
    texts = TEXTS | {f"{i}": each for i, each in enumerate(tagged)}
    files, _ = exported(texts, "hf")
    with export_readers.files_on_disk(files) as folder:
        assert export_readers.read_hf_dataset(folder, f"{folder}/cache") == texts


def test_datasets_knows_the_features_and_scores(tmp_path):
    from datasets import List, Value, load_dataset

    files, _ = exported(TEXTS, "hf")
    with export_readers.files_on_disk(files) as folder:
        read = load_dataset(folder, split="train", cache_dir=str(tmp_path))
    dtypes = {"start": "int64", "end": "int64", "type": "string", "score": "float32", "decided_by": "string"}
    assert read.features["entities"] == List({key: Value(dtype) for key, dtype in dtypes.items()})
    assert read[0]["entities"][2] == {"start": 15, "end": 18, "type": "NO", "score": 0.25, "decided_by": "llm"}
    assert [entity["score"] for entity in read[0]["entities"]][2:4] == [0.25, None]


def test_a_line_of_json_and_a_task():
    texts = {"d": ("懷王", [Span(0, 2, "NR")])}
    out, _ = exported(texts, "jsonl")
    entity = {"start": 0, "end": 2, "type": "NR", "score": 0.95, "decided_by": "agree"}
    assert json.loads(out["part-00000.jsonl"]) == {"doc_id": "d", "text": "懷王", "entities": [entity]}
    out, _ = exported(texts, "label-studio")
    (task,) = json.loads(out["part-00000.json"])
    (prediction,) = task["predictions"]
    view = etree.fromstring(out["config.xml"])
    (region,) = prediction["result"]
    assert view.xpath("//Labels/@name") == [region["from_name"]]
    assert view.xpath("//Text/@name") == view.xpath("//Labels/@toName") == [region["to_name"]]
    assert view.xpath("//Label/@value") == region["value"]["labels"] == ["NR"]
    assert (prediction["score"], region["score"]) == (0.95, 0.95)
