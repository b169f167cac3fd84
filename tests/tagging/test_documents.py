"""A document shows its text and its entities as a str, a repr, HTML and on a terminal, and changes no character."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner import Document, Entity
from rayner.rendering.type_styles import assign_type_colours
from rayner.tagging.html import MAX_SHOWN_CHARS
from rayner.tagging.terminal import format_for_terminal
from tests.strategies import at_most

TEXT = "楚使怒去，歸告懷王。"
DOCUMENT = Document(TEXT, (Entity("楚", "NG", 0, 1, 0.9, "agree"), Entity("懷王", "NR", 7, 9, None, "slm")))
HOSTILE = "<script>alert(1)</script>\x1b[31m&\"'\u202e"


class Reader(HTMLParser):
    """Reads the text and the entities of the HTML of a document. The style sheet is left out."""

    def __init__(self, html):
        super().__init__()
        self.text, self.marks, self.tags, self._in_style, self._in_mark = "", [], set(), False, False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._in_style = tag == "style"
        self._in_mark = self._in_mark or tag == "mark"
        if tag == "mark":
            self.marks.append((dict(attrs)["data-type"], "", dict(attrs)["title"], dict(attrs)["class"]))

    def handle_endtag(self, tag):
        self._in_style = False
        self._in_mark = self._in_mark and tag != "mark"

    def handle_data(self, data):
        if self._in_style:
            return
        self.text += data
        if self._in_mark:
            type_name, name, *rest = self.marks[-1]
            self.marks[-1] = (type_name, name + data, *rest)


@st.composite
def documents(draw):
    """Documents of any characters, with entities of any types."""
    text = draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=40))
    ends = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    bounds = list(zip(ends[::2], ends[1::2], strict=False))
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=5)
    return Document(text, tuple(Entity(text[a:b], draw(names), a, b, 0.5, "agree") for a, b in bounds))


@at_most(30)
@given(documents())
def test_html_holds_the_text_and_the_entities_and_nothing_of_the_text_becomes_markup(document):
    read = Reader(document._repr_html_())
    assert read.text == document.text
    assert [(type_name, name) for type_name, name, *_ in read.marks] == [(e.type, e.text) for e in document.entities]
    assert read.tags <= {"div", "style", "mark", "span"}


def test_html_has_the_colours_of_the_site_and_describes_each_entity():
    html = DOCUMENT._repr_html_()
    hue, saturation = assign_type_colours(["NR"])["NR"]
    [(_, _, country, _), (_, _, person, css_class)] = Reader(html).marks
    assert css_class == f"rayner-{hue}-{saturation} by-slm"
    assert f".{css_class.split()[0]} {{ --h: {hue}; --s: {saturation}%; }}" in html
    assert (country, person) == ("NG country; confidence 0.900; both models agree", "NR person; decided by the SLM")
    assert not re.search(r"https?:|src=|@import|url\(", html)


def test_html_of_a_long_document_shows_its_beginning_and_cuts_no_entity():
    text = "甲" * (MAX_SHOWN_CHARS + 5)
    across = Entity("甲甲", "NR", MAX_SHOWN_CHARS - 1, MAX_SHOWN_CHARS + 1, 0.5, "slm")
    read = Reader(Document(text, (across,))._repr_html_())
    assert read.marks == []
    assert read.text == "甲" * (MAX_SHOWN_CHARS - 1) + "… 6 more characters"


def test_str_has_the_entities_in_brackets_and_repr_is_one_short_line():
    assert str(DOCUMENT) == "[楚 NG]使怒去，歸告[懷王 NR]。"
    assert repr(DOCUMENT) == "<Document of 10 characters, 2 entities: 楚 NG, 懷王 NR>"
    assert repr(Document("")) == "<Document of 0 characters, 0 entities>"
    many = Document("甲\n" * 3000, tuple(Entity("甲\n", "NR", 2 * i, 2 * i + 2, 0.5, "slm") for i in range(3000)))
    assert repr(many) == r"<Document of 6,000 characters, 3,000 entities: 甲\n NR, 甲\n NR, 甲\n NR, ... 2,997 more>"


def test_a_terminal_gets_colours_by_type_or_brackets():
    coloured = format_for_terminal(DOCUMENT, has_colours=True)
    assert re.sub("\x1b\\[[\\d;]*m", "", coloured) == "楚NG使怒去，歸告懷王NR。"
    [country, person] = re.findall("\x1b\\[38;5;(\\d+)m\x1b\\[1m", coloured)
    assert country != person
    assert format_for_terminal(DOCUMENT, has_colours=False) == str(DOCUMENT)


@pytest.mark.parametrize("has_colours", [True, False])
def test_a_terminal_obeys_no_character_of_a_text(has_colours):
    document = Document(HOSTILE + "\n\t懷", (Entity(HOSTILE, HOSTILE, 0, len(HOSTILE), 0.5, "slm"),))
    shown = format_for_terminal(document, has_colours=has_colours)
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert shown.count(r"\x1b[31m") == 2
    assert shown.endswith("\n\t懷")
