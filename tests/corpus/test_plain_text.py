"""Texts in the encodings of their users are read without a change, and what is no text is told."""

import codecs
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.corpus_settings import TEXT_ENCODINGS
from rayner.corpus.ignored_files import IgnoredGroup
from rayner.corpus.plain_text.content_guess import guess_content
from rayner.corpus.plain_text.encodings import decode_text, digest_encoded_text
from rayner.corpus.plain_text.left_out import describe_left_out_files
from rayner.corpus.plain_text.markup import MarkupFiles, find_tag
from rayner.corpus.reading import CorpusSurvey, read_documents
from rayner.corpus.tables import DOCUMENT_SCHEMA
from rayner.corpus.text_listing import list_text_files
from rayner.errors import DataError
from rayner.steps.tag.plan import describe_changed_files_by_path, iter_plan_parts, write_plan_and_documents
from rayner.steps.tag.units import read_unit

TRADITIONAL = "楚懷王怒，不聽屈原之言，而入於秦。其子為王。"
SIMPLIFIED = "楚怀王怒，不听屈原之言，而入于秦。其子为王。"
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
WITHOUT_MARK = [encoding for encoding in TEXT_ENCODINGS if encoding != "utf-16"]


@given(st.data(), st.sampled_from(WITHOUT_MARK))
def test_a_text_in_any_encoding_is_decoded_unchanged_and_its_digest_is_that_of_the_bytes(data, encoding):
    text = data.draw(st.text(st.characters(codec=encoding.replace("cp950", "big5"), exclude_characters="¥‾")))
    content = text.encode(encoding)
    if any(content.startswith(mark) for mark in MARKS.values()) or content.decode(encoding) != text:
        return  # a mark decides; and a codec that gives two characters the same bytes cannot be undone
    assert decode_text("a.txt", content, encoding) == (text, encoding)
    assert digest_encoded_text(text, encoding) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("setting", ["utf-8", "utf-16", "gb18030"])
def test_a_byte_order_mark_decides_and_stays_in_the_text(encoding, setting):
    content = MARKS[encoding] + TRADITIONAL.encode(encoding)
    decoded = decode_text("a.txt", content, setting)
    assert decoded == ("\ufeff" + TRADITIONAL, encoding)
    assert decoded.text.encode(decoded.encoding) == content


def refused(content, encoding="utf-8"):
    with pytest.raises(DataError) as caught:
        decode_text("a\x1b.txt", content, encoding)
    assert str(caught.value).startswith(r"a\x1b.txt")
    return str(caught.value)


def test_utf_16_without_a_mark_is_refused_because_either_order_of_bytes_may_be_meant():
    assert refused(TRADITIONAL.encode("utf-16-le"), "utf-16").endswith("set corpus.encoding=utf-16-le or utf-16-be")


def test_a_second_spelling_of_a_character_is_refused_because_the_bytes_could_not_be_proved():
    assert b"\xa2\xcc".decode("big5hkscs") == b"\xa4\x51".decode("big5hkscs") == "十"
    message = refused("楚".encode("big5hkscs") + b"\xa2\xcc", "big5hkscs")
    assert "found at offset 2 bytes that are another spelling" in message


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (SIMPLIFIED, "gb18030", "GB18030"),
        (SIMPLIFIED, "gbk", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        (TRADITIONAL, "big5", "BIG5"),
        (SIMPLIFIED, "utf-16-le", "UTF-16LE"),
        (SIMPLIFIED, "utf-16-be", "UTF-16BE"),
        (TRADITIONAL * 2000, "big5", "BIG5"),  # longer than what is looked at
    ],
)
def test_a_file_in_another_encoding_is_told_with_the_place_and_both_ways_on(text, encoding, name):
    message = refused("a\n".encode("ascii") + text.encode(encoding) if "16" not in encoding else text.encode(encoding))
    guess = guess_content(text.encode(encoding))
    assert guess is not None
    assert "at offset " in message
    assert message.endswith(
        f"; looks like {name}: set corpus.encoding={guess.encoding}, or convert it with iconv -f {name} -t UTF-8"
    )
    assert decode_text("a.txt", text.encode(encoding), guess.encoding).text == text


@pytest.mark.parametrize(
    "content", [b"", b"\xff", "café".encode("latin-1"), TRADITIONAL.encode()[1:], TRADITIONAL.encode() + b"\xe6"]
)
def test_nothing_is_guessed_of_damaged_and_foreign_text(content):
    assert guess_content(content) is None


@pytest.mark.parametrize(
    "text", ["<p>楚", "楚<br/>王", "<div class='a'>", "</span>", '<?xml version="1.0"?>', "<!DOCTYPE html>"]
)
def test_tags_are_noticed(text):
    assert find_tag(text) is not None


@pytest.mark.parametrize("text", ["", "楚<王>", "a < b > c", "<<史記>>", "<1>", "<a"])
def test_angle_brackets_of_editors_are_no_tags(text):
    assert find_tag(text) is None


def test_files_with_markup_are_counted_and_the_first_is_the_example():
    markup = MarkupFiles()
    for path, text in (("a", "楚"), ("b", "楚<br>王</p>"), ("c", "<p>")):
        markup = markup.add_text(path, text)
    assert markup == MarkupFiles(2, "b", "<br>")
    assert markup.format_warning().startswith("2 texts hold markup such as '<br>' (b): it is tagged like text")
    assert MarkupFiles().format_warning() == ""


def test_the_files_that_are_left_out_are_told_with_counts_and_names(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name, content in (("1.txt", b"\xff"), ("2.txt", b""), ("3.txt", b"x"), ("a/4.html", b"y"), (".x", b"")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    survey = CorpusSurvey()
    assert [document.doc_id for document in read_documents(str(tmp_path), survey)] == ["2", "3"]
    assert describe_left_out_files(survey.unread, survey.ignored.groups, survey.empty) == [
        f"left out: 1 files that cannot be read; the first: {tmp_path}/1.txt:1: expected UTF-8, found byte 0xff "
        "(invalid start byte) at offset 0; if it is text in another encoding, name it, such as corpus.encoding=gb18030",
        "ignored, because only .txt files are read: 1 .html (a/4.html), 1 hidden (.x), "
        "1 link to a folder of the corpus (link)",
        f"without text: 1 files; the first: {tmp_path}/2.txt",
    ]
    assert describe_left_out_files({}, {}, []) == []


def test_exports_inside_the_corpus_are_not_tagged(tmp_path):
    for name in ("book/1.txt", "book/export/1.txt", "book/export/.rayner-output", "book/export/deep/2.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    survey = CorpusSurvey()
    assert [document.doc_id for document in read_documents(str(tmp_path), survey)] == ["book/1"]
    assert survey.ignored.groups == {"folder that rayner wrote": IgnoredGroup(1, ("book/export",))}
    assert [file.doc_id for file in list_text_files(tmp_path / "book" / "export")] == ["1", "deep/2"]  # named itself


def test_a_corpus_of_mixed_encodings_is_planned_with_the_encoding_of_each_file(tmp_path):
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    encoded = {"a": "gb18030", "b": "utf-16-le", "c": "utf-8"}
    for name, encoding in encoded.items():
        content = (MARKS[encoding] if name != "a" else b"") + SIMPLIFIED.encode(encoding)
        (corpus / f"{name}.txt").write_bytes(content)
    survey = write_plan_and_documents(str(corpus), 10, out, encoding="gb18030")
    assert survey.unread == {}
    assert survey.encodings == dict.fromkeys(encoded.values(), 1)
    (units,) = iter_plan_parts(out, survey.plan_parts)
    texts = {}
    for unit in units:
        for segment in read_unit(unit, out, survey.plan_parts).segments:
            texts[segment.doc_id] = texts.get(segment.doc_id, "") + segment.text
    assert texts == {"a": SIMPLIFIED, "b": "\ufeff" + SIMPLIFIED, "c": "\ufeff" + SIMPLIFIED}
    assert describe_changed_files_by_path(str(corpus), out, survey.plan_parts, "gb18030") == {}
    # The same bytes in another encoding are another text.
    assert list(describe_changed_files_by_path(str(corpus), out, survey.plan_parts, "utf-8")) == [str(corpus / "a.txt")]
    other = write_plan_and_documents(str(corpus), 10, tmp_path / "other", encoding="gbk")
    assert other.digest != survey.digest
    assert DOCUMENT_SCHEMA.field("encoding").nullable
