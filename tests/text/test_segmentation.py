import itertools
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rayner.text.segmentation import bounds_without_whitespace, split_sentences, split_windows
from tests.strategies import texts

_END = re.compile(r"[。？！][」』”’）》〕】〉]*[\r\n]*\Z|\n[\r\n]*\Z")
dense = st.text(st.sampled_from("楚王。？！」』”）\n\r，\u2028 "), max_size=30)


@given(st.one_of(texts(), dense))
def test_sentences_partition_the_text(text):
    found = split_sentences(text)
    assert "".join(text[start:end] for start, end in found) == text
    assert [0, *(end for _, end in found)] == [*(start for start, _ in found), len(text)]
    assert all(start < end for start, end in found)


@given(st.one_of(texts(), dense))
def test_a_sentence_ends_only_after_an_end_mark_with_its_closing_marks_or_a_line_break(text):
    for _, end in split_sentences(text)[:-1]:
        assert _END.search(text[:end])


@given(st.one_of(texts(), dense))
def test_nothing_goes_on_after_the_end_of_a_sentence(text):
    for start, end in split_sentences(text):
        assert re.fullmatch(r"[^。？！\n]*[。？！]*[」』”’）》〕】〉]*[\r\n]*", text[start:end])


@given(st.one_of(texts(), dense))
def test_a_sentence_takes_all_the_marks_and_line_breaks_at_its_end(text):
    for _, end in split_sentences(text)[:-1]:
        assert text[end] not in "\r\n"
        if text[end - 1] not in "\r\n":
            assert text[end] not in "」』”’）》〕】〉"
        if text[end - 1] in "。？！":
            assert text[end] not in "。？！"


@pytest.mark.parametrize(
    "expected",
    [
        ["王曰：「善。」", "乃去。"],
        ["何也？！", "曰"],
        ["一行\r\n", "二行\n\n", "三行"],
        ["善。』」\n", "去"],
        ["\n", "楚，齊；秦：燕、\u2028趙\t韓\r魏"],
        ["a.b!c?d"],
        [],
    ],
)
def test_sentences_of_examples(expected):
    text = "".join(expected)
    assert [text[start:end] for start, end in split_sentences(text)] == expected


def test_a_sentence_is_never_cut_at_a_length():
    text = "楚" * 6286 + "。"
    assert split_sentences(text) == [(0, 6287)]


@given(texts())
def test_core_is_the_text_without_white_space_at_its_edges(text):
    start, end = bounds_without_whitespace(text)
    assert text[start:end] == text.strip()
    assert 0 <= start <= end <= len(text)


def test_core_of_white_space_is_empty_at_the_beginning():
    assert bounds_without_whitespace(" \u3000\u2028\n\t") == bounds_without_whitespace("") == (0, 0)


@st.composite
def cuts(draw):
    size = draw(st.integers(1, 20))
    return draw(st.integers(0, 100)), size, draw(st.integers(0, size - 1))


@given(cuts())
def test_windows_cover_the_text_within_the_size(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)
    assert {i for w in found for i in range(w.start, w.end)} == {*range(n_chars)}
    assert all(w.end - w.start == min(size, n_chars) for w in found)
    assert (found[0].start, found[-1].end) == (0, n_chars)


@given(cuts())
def test_neighbouring_windows_overlap_by_at_least_what_was_asked(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)
    assert all(a.start < b.start <= a.end - overlap for a, b in itertools.pairwise(found))


@given(cuts())
def test_no_window_is_superfluous(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)
    assert len(found) == 1 + max(0, -((size - n_chars) // (size - overlap)))


@given(cuts())
def test_what_windows_keep_partitions_the_text_inside_what_they_show(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)
    assert [i for w in found for i in range(w.keep_start, w.keep_end)] == [*range(n_chars)]
    assert all(w.start <= w.keep_start <= w.keep_end <= w.end for w in found)


@given(cuts())
def test_each_character_is_kept_from_the_window_with_most_context_on_its_nearer_side(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)

    def context(window, i):  # the edge of the text cuts nothing off
        left = i - window.start if window.start else n_chars
        right = window.end - 1 - i if window.end < n_chars else n_chars
        return min(left, right)

    for window in found:
        for i in range(window.keep_start, window.keep_end):
            assert context(window, i) == max(context(w, i) for w in found if w.start <= i < w.end)


@given(cuts())
def test_what_windows_keep_is_the_text_again(cut):
    n_chars, size, overlap = cut
    found = split_windows(n_chars, size, overlap)
    values = [*range(n_chars)]
    assert [value for w in found for value in values[w.start : w.end][w.kept_slice]] == values


@given(st.integers(-3, 5), st.integers(-3, 5))
def test_windows_that_would_not_move_on_are_refused(size, overlap):
    assume(not 0 <= overlap < size)
    with pytest.raises(ValueError, match="expected 0 <= overlap < size"):
        split_windows(10, size, overlap)
