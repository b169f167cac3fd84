import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.markup import ParsedMarkup, escape_char, parse_markup, spans_to_markup
from rayner.text.spans import Span
from tests.strategies import chars, tagged_texts, types


@given(tagged_texts())
def test_parse_inverts_encode(tagged):
    text, spans = tagged
    assert parse_markup(spans_to_markup(text, spans)) == ParsedMarkup(text, spans)


@st.composite
def well_formed(draw):
    """Markup put together piece by piece, independently of `encode`."""
    plain = st.lists(chars.map(lambda c: {"<": "&lt;", "&": "&amp;"}.get(c, c)), min_size=1, max_size=5).map("".join)
    entity = st.builds(lambda kind, inner: f"<{kind}>{inner}</{kind}>", types, plain)
    return "".join(draw(st.lists(st.one_of(plain, entity), max_size=6)))


@given(well_formed())
def test_encode_inverts_parse_on_well_formed_markup(markup):
    parsed = parse_markup(markup)
    assert spans_to_markup(parsed.text, parsed.spans) == markup


@given(tagged_texts())
def test_what_is_left_without_the_tags_is_the_escaped_text(tagged):
    text, spans = tagged
    assert re.sub(r"</?N[BRS]>", "", spans_to_markup(text, spans)) == "".join(map(escape_char, text))


def test_the_papers_example():
    text, spans = "楚使怒去,归告怀王。", (Span(0, 1, "NG"), Span(7, 9, "NR"))
    assert spans_to_markup(text, spans) == "<NG>楚</NG>使怒去,归告<NR>怀王</NR>。"
    assert spans_to_markup(text, reversed(spans)) == spans_to_markup(text, spans)


def test_literal_markup_in_a_text_is_no_markup():
    text = "<NR>a</NR>&lt;&"
    assert spans_to_markup(text, [Span(4, 5, "NS")]) == "&lt;NR><NS>a</NS>&lt;/NR>&amp;lt;&amp;"
    assert parse_markup(spans_to_markup(text, [Span(4, 5, "NS")])) == ParsedMarkup(text, (Span(4, 5, "NS"),))


@pytest.mark.parametrize(
    ("markup", "message"),
    [
        ("楚<王", "offset 1: expected"),
        ("楚&王", "offset 1: expected"),
        ("楚&lt王", "offset 1: expected"),
        ("楚&gt;王", "offset 1: expected"),
        ("楚<", "offset 1: expected"),
        ("<>楚</>", "offset 0: expected"),
        ("<N R>楚</N R>", "offset 0: expected"),
        ("<NR/>楚", "offset 0: expected"),
        ("楚</NR>", "offset 1: </NR> closes nothing"),
        ("<NR>楚</NS>", "offset 5: </NS> closes nothing"),
        ("<NR>楚</NR></NR>", "offset 10: </NR> closes nothing"),
        ("<NR></NR>", "offset 4: </NR> closes nothing"),
        ("<NR>楚<NS>王</NS></NR>", "offset 5: <NS> inside <NR>"),
        ("<NR><NR>楚</NR></NR>", "offset 4: <NR> inside <NR>"),
        ("<NR>楚", "offset 0: <NR> is never closed"),
        ("楚<NR>", "offset 1: <NR> is never closed"),
    ],
    ids=[
        "bare <", "bare &", "escape without ;", "unknown escape", "< at the end", "no type", "space in type",
        "self-closing", "closes nothing", "other type", "closed twice", "empty entity", "nested", "nested alike",
        "never closed", "opened at the end",
    ],
)  # fmt: skip
def test_malformed_markup_is_refused_with_its_offset(markup, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parse_markup(markup)


@given(st.lists(st.sampled_from(["<NR>", "</NR>", "<NS>", "</NS>", "楚", "&lt;", "&", "<"]), max_size=8))
def test_markup_is_either_refused_or_exactly_what_encode_writes(pieces):
    markup = "".join(pieces)
    try:
        parsed = parse_markup(markup)
    except ValueError:
        return
    assert spans_to_markup(parsed.text, parsed.spans) == markup


@pytest.mark.parametrize("kind", ["", "N R", "N/R", "N>R", "N<R", "N&R", "N\nR"])
def test_a_type_that_could_not_be_read_back_is_refused(kind):
    with pytest.raises(ValueError, match="cannot be written as a tag"):
        spans_to_markup("楚王", [Span(0, 1, kind)])


def test_overlapping_spans_are_refused():
    with pytest.raises(ValueError, match="overlaps"):
        spans_to_markup("楚王", [Span(0, 2, "NR"), Span(1, 2, "NR")])
