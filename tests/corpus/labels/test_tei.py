"""TEI as people write it; tests/corpus/labels/test_round_trips.py reads what rayner exports."""

import pytest

from rayner.corpus.labelled_files import read_labelled_file


def tei(body, header="", root="TEI"):
    return (
        f'<?xml version="1.0" encoding="GB2312"?>\n<!-- 註 -->\n<{root} xmlns="http://www.tei-c.org/ns/1.0">'
        f"<teiHeader><title>題</title>{header}</teiHeader><text><body>{body}</body></text></{root}>\n"
    )


def test_entities_by_their_elements(read):
    body = (
        "<p><persName>懷王</persName>入<placeName>秦</placeName>，<orgName>諸侯</orgName>、<roleName>大夫</roleName>"
        '<date>三年</date><title>詩</title><rs type="BOOK">書</rs><name>甲</name><name type="boat">舟</name>'
        '<placeName type="country">楚</placeName><placeName type="river">江</placeName><term type="formula">湯</term>'
        "<term>乙</term><settlement>郢</settlement></p>"
    )
    [(text, entities)] = read(tei(body))
    assert text == "懷王入秦，諸侯、大夫三年詩書甲舟楚江湯乙郢"
    assert entities == [
        ("懷王", "NR"), ("秦", "NS"), ("諸侯", "orgName"), ("大夫", "NO"), ("三年", "T"), ("詩", "NB"), ("書", "BOOK"),
        ("甲", "name"), ("舟", "boat"), ("楚", "NG"), ("江", "NS"), ("湯", "ZF"), ("郢", "settlement"),
    ]  # fmt: skip


def test_paragraphs_and_notes_are_texts_and_layout_is_no_text(read):
    body = (
        "\n  <div>\n    <head>卷 一</head>\n    <p>懷王\n       入<persName>屈\n  原</persName><note>註<lb/>也</note>家"
        "，<lb n='2'/>\n       in\n    Chu\n    </p>\n    <l>甲</l><l>乙</l>丙\n  </div>\n"
    )
    assert read(tei(body)) == [
        ("卷 一", []), ("註也", []), ("懷王入屈原家，in Chu", [("屈原", "NR")]), ("甲", []), ("乙", []), ("丙", [])
    ]  # fmt: skip
    assert read(tei('<p xml:space="preserve"> 甲\n\n 乙</p>')) == [(" 甲\n\n 乙", [])]


def test_one_reading_is_taken(read):
    body = (
        "<p><choice><corr>正</corr><sic>誤</sic></choice><app><lem>甲</lem><rdg>乙</rdg></app>"
        "<choice><abbr>丙</abbr><expan>丁</expan></choice><fw>頁</fw></p>"
    )
    assert read(tei(body)) == [("誤甲丙", [])]


def test_characters_that_the_header_declares(read, refusal):
    header = (
        '<charDecl><char xml:id="u1"><mapping type="codepoint">U+20000</mapping></char>'
        '<glyph xml:id="g2"><mapping>〓</mapping></glyph></charDecl>'
    )
    body = '<p><persName><g ref="#u1"/>王</persName><g ref="#g2"/><g ref="#g9">乙</g></p>'
    assert read(tei(body, header)) == [("𠀀王〓乙", [("𠀀王", "NR")])]
    assert "labels:3: expected a character in <g>, or its mapping in the header, found neither" in refusal(
        tei('<p>甲<g ref="#u9"/></p>')
    )
    for code_point in ("U+110000", "U+D800"):
        header = f'<charDecl><char xml:id="u9"><mapping>{code_point}</mapping></char></charDecl>'
        assert "expected a character in <g>" in refusal(tei('<p>甲<g ref="#u9"/></p>', header))


def test_parts_of_a_name_are_no_entities(read):
    body = (
        "<p><persName><roleName>大夫</roleName><surname>屈</surname>原</persName>"
        "<placeName><settlement>郢</settlement>都</placeName></p>"
    )
    assert read(tei(body)) == [("大夫屈原郢都", [("大夫屈原", "NR"), ("郢都", "NS")])]


@pytest.mark.parametrize("root", ["TEI", "teiCorpus", "TEI.2"])
def test_roots(read, root):
    assert read(tei("<p>甲</p>", root=root)) == [("甲", [])]


def test_elements_without_text_are_counted(read, tmp_path):
    assert read(tei('<p><placeName key="1"/>甲</p>'), name="a.xml") == [("甲", [])]
    assert read_labelled_file(tmp_path / "a.xml").faults["empty_elements"] == 1


@pytest.mark.parametrize(("content", "expected"), [
    (tei("<p><persName>\n<placeName>楚</placeName>王</persName></p>"),
     "a:4: expected entities that are not nested, found placeName inside the persName of a:3; keep one of them"),
    (tei("<persName><p>楚</p></persName>"), "a:3: expected an entity inside one paragraph, found a paragraph inside"),
    (tei("<p>甲</div>"), "a:3: expected well-formed XML, found: mismatched tag"),
    (tei("<p>&nbsp;</p>"), "a:3: expected well-formed XML, found: undefined entity"),
    (tei('<p><rs type="a b">甲</rs></p>'), "a:3: expected a type without white space"),
    (tei(""), "a: expected at least one labelled character, found none"),
    ('<!DOCTYPE TEI [<!ENTITY a "甲">]>\n<TEI><text><p>&a;</p></text></TEI>', "found the entity 'a'; write"),
    ('<!DOCTYPE TEI SYSTEM "tei.dtd">\n<TEI><text><p>&nbsp;</p></text></TEI>', "found the entity 'nbsp'; write its"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(refusal, content, expected):
    assert expected in refusal(content, name="a")
