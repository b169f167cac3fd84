import itertools
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rayner.text.segmentation import (
    SEAM_CHARS,
    Segment,
    bounds_without_whitespace,
    find_seams,
    split_segments,
    split_sentences,
    split_windows,
)
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


def test_a_sentence_is_never_cut_at_a_length_below_the_limit():
    text = "楚" * 6286 + "。"
    assert split_sentences(text) == [(0, 6287)]
    assert list(split_segments(text, 6287)) == [Segment(0, 6287)]


@given(st.one_of(texts(), dense), st.integers(1, 12))
def test_segments_partition_the_text_keep_the_ends_of_sentences_and_are_bounded(text, limit):
    found = list(split_segments(text, limit))
    assert "".join(text[s.start : s.end] for s in found) == text
    assert [0, *(s.end for s in found)] == [*(s.start for s in found), len(text)]
    assert all(s.start < s.end <= s.start + limit for s in found)
    assert [s.end for s in found if not s.is_cut] == [end for _, end in split_sentences(text)]


@given(st.one_of(texts(), dense), st.integers(1, 12))
def test_how_a_sentence_is_cut_depends_on_its_own_text_only(text, limit):
    found = [(s.start, s.end) for s in split_segments(text, limit)]
    for start, end in split_sentences(text):
        own = [(s.start, s.end) for s in split_segments(text[start:end], limit)]
        assert [(start + a, start + b) for a, b in own] == [p for p in found if start <= p[0] < end]


@given(st.integers(1, 400), st.integers(1, 60))
def test_pieces_are_of_similar_length(n_chars, limit):
    pieces = [s.end - s.start for s in split_segments("楚" * n_chars, limit)]
    assert len(pieces) == -(-n_chars // limit)
    assert max(pieces) - min(pieces) <= 1


@given(st.text(st.sampled_from("楚王曰，"), min_size=1, max_size=300), st.integers(20, 60))
def test_no_piece_is_much_shorter_than_half_the_limit(text, limit):
    pieces = [s.end - s.start for s in split_segments(text, limit)]
    assert min(pieces) >= 0.38 * limit or len(pieces) == 1


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("楚" * 5000, 5000, ["楚" * 5000]),
        ("楚" * 5001, 5000, ["楚" * 2501, "楚" * 2500]),
        ("楚" * 8 + "，" + "楚" * 11, 10, ["楚" * 8 + "，", "楚" * 6, "楚" * 5]),  # after a comma in the last fifth
        ("楚" * 7 + "，" + "楚" * 12, 10, ["楚" * 7 + "，楚楚", "楚" * 10]),  # not after an earlier comma
        ("楚" * 8 + "\u3000" + "楚" * 11, 10, ["楚" * 8 + "\u3000", "楚" * 6, "楚" * 5]),
        ("楚" * 9 + "\r\n", 10, ["楚" * 6, "楚" * 3 + "\r\n"]),
        ("a" * 9 + "e\u0301" + "a" * 9, 10, ["a" * 9, "e\u0301" + "a" * 4, "a" * 5]),  # a combining accent
        ("楚" * 9 + "葛\U000e0100" + "楚" * 9, 10, ["楚" * 9, "葛\U000e0100" + "楚" * 4, "楚" * 5]),  # a variant of 葛
        ("楚" * 9 + "👨\u200d👩" + "楚" * 8, 10, ["楚" * 9, "👨\u200d👩楚楚楚", "楚" * 5]),
        ("\u0301" * 25, 10, ["\u0301" * 9, "\u0301" * 8, "\u0301" * 8]),  # accents only: cut at the limit
        ("\n" * 25, 10, ["\n" * 9, "\n" * 8, "\n" * 8]),
        ("。" * 25, 10, ["。" * 9, "。" * 8, "。" * 8]),
        ("楚王", 1, ["楚", "王"]),
    ],
)
def test_cuts_of_examples(text, limit, expected):
    assert [text[s.start : s.end] for s in split_segments(text, limit)] == expected


@given(st.integers(1, 2000), st.integers(1, 500))
def test_seams_lie_in_the_two_pieces_and_do_not_overlap(n_chars, limit):
    segments = list(split_segments("楚" * n_chars + "。" + "楚" * n_chars, limit))
    seams = list(find_seams(segments))
    assert [seam.cut for seam in seams] == [s.end for s in segments if s.is_cut]
    pieces = {s.end: s for s in segments} | {-s.start: s for s in segments}
    for seam in seams:
        left, right = pieces[seam.cut], pieces[-seam.cut]
        assert left.start <= seam.start <= seam.cut <= seam.end <= right.end
        assert max(seam.cut - seam.start, seam.end - seam.cut) <= SEAM_CHARS
        if len(seams) == 1:
            assert seam.cut - seam.start == min(SEAM_CHARS, left.end - left.start)
    assert all(a.end <= b.start for a, b in itertools.pairwise(seams))


def test_a_line_of_many_million_characters_is_cut_in_little_time():
    started = time.process_time()
    assert len(list(find_seams(split_segments("楚" * 3_000_000, 5000)))) == 599
    assert len(list(split_segments("\n" * 1_000_000, 5000))) == 200
    assert time.process_time() - started < 10


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
