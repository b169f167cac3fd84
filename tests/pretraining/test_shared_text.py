"""Texts that share twelve characters with a labelled sentence are found, all of them and no others."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import DataError
from rayner.pretraining import shared_text
from rayner.pretraining.shared_text import SHARED_CHARS, SharedText, parse_variants
from tests.strategies import texts

FEW = st.text("楚\n𠮷", max_size=40)  # few characters, so that strings are shared by chance


def shares_by_comparing_all(sentences, text):
    strings = {s[i : i + SHARED_CHARS] for s in sentences for i in range(len(s) - SHARED_CHARS + 1)}
    return any(string in text for string in strings)


@given(sentences=st.lists(FEW, max_size=3), text=FEW)
def test_what_is_found_is_what_comparing_all_strings_finds(sentences, text):
    assert SharedText(sentences).is_shared_with(text) == shares_by_comparing_all(sentences, text)


@given(sentences=st.lists(FEW, max_size=3), text=st.text("楚𠮷", max_size=90), size=st.integers(1, 30))
def test_long_texts_are_read_in_slices_without_a_gap(sentences, text, size):
    before, shared_text._SLICE_CHARS = shared_text._SLICE_CHARS, size
    try:
        assert SharedText(sentences).is_shared_with(text) == shares_by_comparing_all(sentences, text)
    finally:
        shared_text._SLICE_CHARS = before


@given(before=texts(), sentence=st.text(min_size=SHARED_CHARS, max_size=30), after=texts(), data=st.data())
def test_a_text_with_any_twelve_characters_of_a_sentence_is_found(before, sentence, after, data):
    start = data.draw(st.integers(0, len(sentence) - SHARED_CHARS))
    string = sentence[start : start + SHARED_CHARS]
    assert SharedText([sentence]).is_shared_with(f"{before}{string}{after}")


def test_eleven_characters_are_not_enough_and_shorter_sentences_are_counted():
    sentence = "楚使怒去歸告懷王發兵攻秦"
    assert len(sentence) == SHARED_CHARS
    shared = SharedText([sentence, sentence[1:], ""])
    assert (shared.n_sentences, shared.n_short_sentences) == (3, 2)
    assert shared.is_shared_with(f"曰{sentence}。")
    assert not shared.is_shared_with(f"{sentence[1:]}。{sentence[:-1]}")


def test_equal_hashes_of_different_strings_find_nothing(monkeypatch):
    monkeypatch.setattr(shared_text, "_HASH_BASE", shared_text.np.uint64(1))  # the hash is then a sum
    sentence = "楚使怒去歸告懷王發兵攻秦"
    assert not SharedText([sentence]).is_shared_with(sentence[::-1])
    assert SharedText([sentence]).is_shared_with(sentence)


def test_variants_count_as_one_character_on_both_sides():
    variants = parse_variants("归歸\n\n怀 懷\r\n王\t王\n", "variants.txt")
    traditional, simplified = "楚使怒去歸告懷王發兵攻秦", "楚使怒去归告怀王發兵攻秦"
    for sentence, text in itertools.product((traditional, simplified), repeat=2):
        assert SharedText([sentence], variants).is_shared_with(f"。{text}。")
    assert not SharedText([traditional]).is_shared_with(simplified)
    assert SharedText([traditional], variants).digest == SharedText([simplified], variants).digest
    assert SharedText([traditional]).digest != SharedText([simplified]).digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("归歸\n楚\n", "variants.txt:2: expected two characters, found 1"),
        ("归 歸 x\n", "variants.txt:1: expected two characters, found 3"),
        ("后後\n后后\n", "variants.txt:2: expected one meaning of each character, found 后 as 后"),
    ],
)
def test_a_file_of_variants_that_is_none_is_refused_naming_the_line(content, message):
    with pytest.raises(DataError, match=message):
        parse_variants(content, "variants.txt")
