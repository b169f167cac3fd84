"""Escape text for XML and HTML, so that a parser gives back every character.

The LLM's own markup is not XML. `rayner.text.markup.escape_char` escapes it.
"""

import re
from collections.abc import Callable

NOT_IN_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"  # for [...] of a regex: not allowed in XML 1.0
CHAR_REFERENCES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_ALWAYS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def make_html_or_xml_escaper(extra_char_pattern: str, replace_extra_char: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that escapes `&`, `<` and `>` in a text, and replaces further characters.

    Args:
        extra_char_pattern: The further characters, written as inside `[...]` of a regular expression.
        replace_extra_char: Returns the replacement of one of these characters.

    """
    pattern = re.compile(f"[&<>{extra_char_pattern}]")

    def replace_match(match: re.Match[str]) -> str:
        return _ALWAYS.get(match[0]) or replace_extra_char(match[0])

    def escape(text: str) -> str:
        return pattern.sub(replace_match, text)

    return escape


def format_code_point(char: str) -> str:
    """Return the usual name of a character's code point, such as `U+E000`."""
    return f"U+{ord(char):04X}"


def make_xml_escaper(replace_illegal: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that escapes a text for the content of an XML element.

    Args:
        replace_illegal: Returns the replacement of a character that XML 1.0 does not allow.

    """
    return make_html_or_xml_escaper(f'"\r{NOT_IN_XML}', lambda char: CHAR_REFERENCES.get(char) or replace_illegal(char))


def escape_attribute(value: str) -> str:
    """Escape a value for an attribute in double quotes. A character that XML does not allow becomes its code point."""
    return _escape_attribute(value)


_escape_attribute = make_html_or_xml_escaper(
    f'"\t\n\r{NOT_IN_XML}', lambda char: CHAR_REFERENCES.get(char) or format_code_point(char)
)
