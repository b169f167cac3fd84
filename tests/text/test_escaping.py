import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.escaping import (
    NOT_IN_XML,
    escape_attribute,
    format_code_point,
    make_html_or_xml_escaper,
    make_xml_escaper,
)

LEGAL = st.text(st.characters(codec="utf-8").filter(lambda char: not re.match(f"[{NOT_IN_XML}]", char)))
escape_text = make_xml_escaper(format_code_point)


@given(LEGAL)
def test_xml_readers_give_the_text_back(text):
    root = ElementTree.fromstring(f'<a b="{escape_attribute(text)}">{escape_text(text)}</a>')
    assert (root.text or "", root.get("b")) == (text, text)


@given(LEGAL.filter(lambda text: "\0" not in text))
def test_html_readers_give_the_attribute_back(text):
    attributes = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, pairs: attributes.extend(pairs)
    parser.feed(f'<a b="{escape_attribute(text)}">')
    assert attributes == [("b", text)]


@pytest.mark.parametrize("char", ["\0", "\x1f", "\uffff"])
def test_a_character_that_xml_cannot_hold_is_replaced(char):
    assert make_xml_escaper(lambda char: f"<c n='{ord(char)}'/>")(f"<{char}") == f"&lt;<c n='{ord(char)}'/>"
    assert escape_attribute(char) == format_code_point(char)


def test_further_characters_are_replaced_as_told():
    assert make_html_or_xml_escaper("\n一-丁", lambda char: f"[{char}]")("&\n丁楚<") == "&amp;[\n][丁]楚&lt;"
