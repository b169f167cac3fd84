"""The script of a text is told by its characters, and a converted text has the same length and offsets."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.parquet_files import read_table
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.scripts.conversion import build_script_converter, convert_texts
from rayner.corpus.scripts.recognition import ScriptComparison, ScriptCounts, count_scripts
from rayner.corpus.scripts.tables import load_script_tables
from rayner.corpus.tables import ENTITY_SCHEMA
from rayner.corpus.unit_records import InputDigests
from rayner.fusion.calibration import Calibration
from rayner.fusion.region_rule import RegionRule
from rayner.rendering.warnings import translate_markup, translate_script_mismatch
from rayner.steps.tag.plan import iter_plan_parts, write_plan_and_documents
from rayner.steps.tag.units import fuse_and_write_unit, read_unit
from rayner.text.predictions import empty_prediction
from rayner.text.spans import Span

TRADITIONAL = "楚懷王怒，不聽屈原之言，而入於秦。其後諸侯爲國者皆畏之，馬車還於東門，與書曰無。"
SIMPLIFIED = "楚怀王怒，不听屈原之言，而入于秦。其后诸侯为国者皆畏之，马车还于东门，与书曰无。"
TABLES = load_script_tables()
IN_TABLES = "".join(sorted(TABLES.simplified.keys() | TABLES.traditional.keys()))
texts = st.text(st.one_of(st.sampled_from(IN_TABLES), st.characters(codec="utf-8")))


def counts(text):
    return count_scripts(Counter(text))


def test_the_script_is_told_by_the_characters_of_one_script_only():
    assert counts(TRADITIONAL * 2).script == "traditional"
    assert counts(SIMPLIFIED * 2).script == "simplified"
    assert counts(SIMPLIFIED + TRADITIONAL).script == "mixed"
    assert counts("楚王曰之不以其也人者。" * 1000).script is None
    assert counts("國" * 19).script is None
    assert counts("國" * 20).script == "traditional"


def test_forms_of_today_in_traditional_text_and_characters_of_both_scripts_do_not_count():
    assert counts("户真后里于云志") == ScriptCounts()
    assert counts(TRADITIONAL * 3 + "吴内黄吕户").script == "traditional"


def test_no_character_is_only_in_both_scripts():
    assert not TABLES.only_traditional & TABLES.only_simplified
    assert len(TABLES.only_traditional) > 3000
    assert len(TABLES.only_simplified) > 3000


T, S, MIXED, UNKNOWN = ScriptCounts(100, 3), ScriptCounts(0, 100), ScriptCounts(50, 50), ScriptCounts(1, 2)


@pytest.mark.parametrize(
    ("labelled", "corpus", "is_mismatch"),
    [
        (T, S, True), (S, T, True), (T, MIXED, True), (S, MIXED, True), (T, T, False), (S, S, False), (MIXED, S, False),
        (MIXED, MIXED, False), (T, UNKNOWN, False), (UNKNOWN, S, False),
    ],
)  # fmt: skip
def test_only_another_script_is_told_and_not_if_the_models_read_a_copy(labelled, corpus, is_mismatch):
    comparison = ScriptComparison(labelled, corpus)
    assert comparison.is_mismatch == is_mismatch
    assert bool(comparison.format_mismatch_warning()) == is_mismatch
    assert len(translate_script_mismatch(comparison)) == is_mismatch
    assert not replace(comparison, is_matched=True).is_mismatch


def test_the_warnings_are_told_in_both_languages():
    message = ScriptComparison(T, S).format_mismatch_warning()
    assert "is traditional (100 characters only traditional, 3 only simplified)" in message
    assert "the corpus is simplified (0 characters only traditional, 100 only simplified): " in message
    (text,) = translate_script_mismatch(ScriptComparison(T, S))
    assert "in traditional script, the corpus in simplified (0 " in text.en
    assert "标注文本为繁体，语料为简体" in text.zh
    (text,) = translate_markup(MarkupFiles(12, "a.txt", "<p>"))
    assert "12 texts hold markup such as <p> (a.txt)" in text.en
    assert "12 个文本含有 <p>" in text.zh
    assert translate_markup(MarkupFiles()) == []


def test_a_text_is_converted_to_the_script_of_the_labelled_text():
    assert build_script_converter([TRADITIONAL] * 2).convert(SIMPLIFIED) == TRADITIONAL
    assert build_script_converter([SIMPLIFIED] * 2).convert(TRADITIONAL) == SIMPLIFIED


def test_of_several_forms_the_one_that_the_labelled_text_has_most_often_is_taken():
    assert build_script_converter([TRADITIONAL, TRADITIONAL + "為為為"]).convert("为国与马") == "為國與馬"
    assert build_script_converter([TRADITIONAL] * 2).convert("为国与马") == "爲國與馬"
    assert build_script_converter([TRADITIONAL, TRADITIONAL + "云云云"]).convert("国云") == "國云"
    assert build_script_converter([TRADITIONAL, TRADITIONAL + "云雲雲"]).convert("国云") == "國雲"


def test_a_character_that_is_rarely_the_form_of_another_stays_itself():
    assert build_script_converter([TRADITIONAL, TRADITIONAL + "俱俱迺迺"]).convert("国具乃") == "國具乃"


def test_a_text_in_the_script_of_the_labelled_text_is_not_changed():
    converter = build_script_converter([TRADITIONAL] * 2)
    assert converter.convert("太后乃還於國") == "太后乃還於國"
    assert converter.convert("太后曰") == "太后曰"  # of no script
    assert build_script_converter([SIMPLIFIED] * 2).convert(SIMPLIFIED) == SIMPLIFIED


@pytest.mark.parametrize("labelled", [[], ["楚王"], [TRADITIONAL, SIMPLIFIED]])
def test_without_labelled_text_in_one_script_there_is_no_converter(labelled):
    assert build_script_converter(labelled) is None
    assert list(convert_texts(["国"], None)) == ["国"]


CONVERTERS = [
    (build_script_converter([TRADITIONAL] * 2), TABLES.traditional),
    (build_script_converter([SIMPLIFIED] * 2), TABLES.simplified),
]


@given(texts, st.sampled_from(CONVERTERS))
def test_a_converted_text_has_the_same_length_and_only_forms_of_its_characters(text, converter_and_forms):
    converter, forms = converter_and_forms
    converted = converter.convert(text)
    assert len(converted) == len(text)
    assert all(new == old or new in forms[old] for old, new in zip(text, converted, strict=True))
    if converted != text:  # what a character becomes does not depend on what is around it
        assert converted == "".join(converter.replacements.get(ord(char), char) for char in text)


def test_a_unit_holds_converted_text_and_its_entities_the_text_of_the_corpus(tmp_path):
    (tmp_path / "corpus").mkdir()
    for name, text in (("a", SIMPLIFIED), ("b", TRADITIONAL)):
        (tmp_path / "corpus" / f"{name}.txt").write_text(text, encoding="utf-8")
    converter, out = build_script_converter([TRADITIONAL] * 2), tmp_path / "out"
    parts = write_plan_and_documents(str(tmp_path / "corpus"), 25, out, max_segment_chars=10).plan_parts
    rows = []
    for unit in (unit for part in iter_plan_parts(out, parts) for unit in part):
        read = read_unit(unit, out, parts, converter)
        for segment in (*read.segments, *read.seam_segments):
            assert segment.text == TRADITIONAL[segment.start : segment.end]
            original = {"a": SIMPLIFIED, "b": TRADITIONAL}[segment.doc_id]
            assert segment.original_text == original[segment.start : segment.end]
        segments = [
            replace(
                segment, slm=replace(empty_prediction(len(segment.text)), spans=(Span(0, len(segment.text), "NR"),))
            )
            for segment in read.segments
        ]
        fuse_and_write_unit(
            replace(read, segments=segments, seams=None, cuts=()), out, RegionRule(0.5), Calibration(),
            InputDigests("", ""),
        )  # fmt: skip
        rows += read_table(out / "entities" / f"{unit.name}.parquet", ENTITY_SCHEMA).to_pylist()
    for name, text in (("a", SIMPLIFIED), ("b", TRADITIONAL)):
        assert "".join(row["text"] for row in rows if row["doc_id"] == name) == text


def test_the_counts_of_a_converted_corpus_are_those_of_its_converted_text():
    converter = build_script_converter(["漢書曰龍門之國，東學於孔子"] * 20)
    for text in ("汉书曰龙门之国", "漢書曰龍門之國", ""):
        assert converter.convert_counts(Counter(text)) == Counter(converter.convert(text))
