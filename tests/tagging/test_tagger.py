"""Texts are tagged in order and in bounded memory, whatever they are grouped with, and bad ones get one clear error."""

from dataclasses import replace

import pytest

from rayner.corpus.scripts.conversion import build_script_converter
from rayner.corpus.scripts.tables import load_script_tables
from rayner.errors import DataError
from rayner.rendering.tagged_text import split_by_entities
from rayner.text.segmentation import split_sentences


def same(documents, others):
    """Whether documents are the same, their scores within 1e-5."""
    return len(documents) == len(others) and all(
        [replace(e, score=None) for e in a.entities] == [replace(e, score=None) for e in b.entities]
        and [e.score for e in a.entities] == pytest.approx([e.score for e in b.entities], abs=1e-5)
        and a.text == b.text
        for a, b in zip(documents, others, strict=True)
    )


def test_texts_come_back_in_order_unchanged_with_their_entities(tagger, texts):
    documents = list(tagger.tag_many(texts))
    assert [document.text for document in documents] == texts
    assert sum(len(document.entities) for document in documents) > 20
    for document in documents:
        assert document.errors == ()
        assert all(document.text[e.start : e.end] == e.text for e in document.entities)
        assert all(0 < e.score < 1 and e.decided_by == "slm" for e in document.entities)
        split_by_entities(document.text, [{"start": e.start, "end": e.end, "type": e.type} for e in document.entities])


def test_a_text_gets_the_same_alone_in_small_units_and_among_others(tagger, texts):
    documents = list(tagger.tag_many(texts))
    assert same([tagger.tag(text) for text in texts], documents)
    assert same(list(replace(tagger, unit_chars=250).tag_many(texts)), documents)
    assert same(list(tagger.tag_many(reversed(texts)))[::-1], documents)


def test_a_text_longer_than_a_unit_is_joined_again(tagger, texts):
    sentence = texts[0][slice(*split_sentences(texts[0])[0])]
    long_text = sentence * 60
    small = replace(tagger, unit_chars=2 * len(sentence))
    alone = small.tag(sentence)
    document = small.tag(long_text)
    assert document.text == long_text
    assert document.entities
    expected = [
        (e.start + i * len(sentence), e.end + i * len(sentence), e.type) for i in range(60) for e in alone.entities
    ]
    assert [(e.start, e.end, e.type) for e in document.entities] == expected


def test_entities_at_the_cuts_of_an_endless_sentence_are_found(tagger, texts):
    endless = "".join(char for char in texts[0] if char not in "。？！\n")[:150]
    cut = replace(tagger, max_segment_chars=40)
    document = cut.tag(endless)
    assert document.text == endless
    found = {(e.start, e.end, e.type) for e in document.entities}
    whole = {(e.start, e.end, e.type) for e in tagger.tag(endless).entities}
    assert len(found & whole) > 0.7 * len(whole)
    assert len({start for start, _, _ in found}) == len(found)


def test_no_more_texts_are_read_than_one_unit_needs(tagger):
    n_read = 0

    def read():
        nonlocal n_read
        for _ in range(1000):
            n_read += 1
            yield "懷王入秦。" * 10

    documents = replace(tagger, unit_chars=500).tag_many(read())
    assert n_read == 0
    for n_done in range(1, 40):
        next(documents)
        assert n_read <= n_done + 11
    documents.close()


@pytest.mark.parametrize(
    "text", ["", "\n", " \t\u3000", "\0", "懷\0王入秦。\0", "\ufeff懷王", "\r\n\u2028\x85", "\ue000"]
)
def test_unusual_texts_are_tagged_as_they_are(tagger, text):
    document = tagger.tag(text)
    assert (document.text, document.errors) == (text, ())
    assert [document.text for document in tagger.tag_many([text, "懷王", text])] == [text, "懷王", text]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"\xe6", TypeError, "text 0: expected a str, found bytes"),
        (None, TypeError, "text 0: expected a str, found NoneType"),
        ("懷\ud800王", DataError, "text 0: expected characters that UTF-8 can write, found half a surrogate pair, "
         "U+D800, at offset 1: decode the text again from its bytes"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused(tagger, text, error, message):
    with pytest.raises(error) as caught:
        tagger.tag(text)
    assert str(caught.value) == message
    with pytest.raises(error, match=message.replace("text 0", "text 1").replace("+", r"\+")):
        list(tagger.tag_many(["懷王", text]))


@pytest.mark.parametrize("text", ["懷王", b""])
def test_one_text_given_as_many_is_refused_at_once(tagger, text):
    with pytest.raises(TypeError, match=rf"expected several texts, found one {type(text).__name__}: use tag\(text\)"):
        tagger.tag_many(text)


def test_a_part_that_fails_is_told_and_the_rest_is_tagged(tagger, caplog):
    def fail(texts):
        if any("秦" in text for text in texts):
            raise ValueError("no such state")
        return tagger.slm.tagger.predict(texts)

    class Failing:
        predict = staticmethod(fail)

    slm = type(tagger.slm).__new__(type(tagger.slm))
    slm.attempts, slm.tagger = tagger.slm.attempts, Failing()
    document = replace(tagger, slm=slm).tag("懷王怒去。入於秦。懷王歸。")
    assert document.errors == ("characters 5 to 9: slm: ValueError: no such state",)
    assert [e for e in document.entities if 5 <= e.start < 9] == []
    assert "text 0: 1 segments were set aside; the first: slm: ValueError: no such state" in caplog.text


def test_models_may_read_a_copy_in_their_script_and_the_document_keeps_the_text(tagger, texts):
    forms = load_script_tables().simplified
    text = "".join(forms[char][0] if char in forms else char for char in texts[0])
    converter = build_script_converter(texts)
    document = replace(tagger, converter=converter).tag(text)
    assert document.text == text
    assert all(text[e.start : e.end] == e.text for e in document.entities)
    own = tagger.tag(converter.convert(text)).entities
    assert [(e.start, e.end, e.type) for e in document.entities] == [(e.start, e.end, e.type) for e in own]
    assert [e.text for e in document.entities] != [e.text for e in own]


def test_the_repr_says_whether_the_llm_is_asked(tagger, run):
    assert repr(tagger) == f"<FusionTagger of {run}: no LLM is asked: the run has none (llm.model=none)>"
