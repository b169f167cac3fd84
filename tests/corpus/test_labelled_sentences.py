"""Labelled sentences: nothing of a text is lost or doubled, and no text stands on both sides of the split."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rayner.corpus.labelled_sentences import (
    read_labelled_sentences,
    split_labelled_text,
    split_train_dev_test,
    write_labelled_sentences,
)
from rayner.errors import DamagedFileError
from rayner.text.labelled_text import LabelledSentence
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span
from tests.strategies import tagged_texts, texts

SHORT = st.text("楚秦。", max_size=3)  # so that copies are frequent
shares = st.floats(0, 0.49)


def moved_back(examples):
    """The entities of the sentences as offsets into the joined text."""
    spans, start = [], 0
    for example in examples:
        spans += [span.shift(start) for span in example.spans]
        start += len(example.text)
    return spans


@given(tagged_texts())
def test_sentences_joined_are_the_text_and_hold_every_entity_once(tagged):
    text, spans = tagged
    found = split_labelled_text(text, spans)
    assert "".join(example.text for example in found) == text
    assert moved_back(found) == sorted(spans)
    assert all(example.text for example in found)
    for example in found:
        assert all(0 <= span.start < span.end <= len(example.text) for span in example.spans)


@given(tagged_texts())
def test_a_cut_is_made_at_each_end_of_a_sentence_that_no_entity_crosses_and_nowhere_else(tagged):
    text, spans = tagged
    ends, at = [], 0
    for example in split_labelled_text(text, spans):
        at += len(example.text)
        ends.append(at)
    assert ends == [end for _, end in split_sentences(text) if not any(s.start < end < s.end for s in spans)]


def test_sentences_that_share_an_entity_stay_together():
    text = "甲曰。乙。丙。丁。"
    spans = [Span(0, 1, "NR"), Span(3, 6, "NB"), Span(5 + 2, 8, "NR")]
    assert split_labelled_text(text, spans) == [
        LabelledSentence("甲曰。", (Span(0, 1, "NR"),)),
        LabelledSentence("乙。丙。", (Span(0, 3, "NB"),)),
        LabelledSentence("丁。", (Span(0, 1, "NR"),)),
    ]


def test_an_entity_over_three_sentences_keeps_all_of_them_and_those_within_them():
    text = "甲。乙。丙。丁。"
    spans = [Span(0, 1, "NR"), Span(1, 5, "NB"), Span(5, 6, "T")]
    assert split_labelled_text(text, spans) == [
        LabelledSentence("甲。乙。丙。", tuple(spans)),
        LabelledSentence("丁。", ()),
    ]


def test_entities_may_come_in_any_order_but_not_overlap():
    assert split_labelled_text("甲乙", [Span(1, 2, "NR"), Span(0, 1, "NS")])[0].spans == (
        Span(0, 1, "NS"),
        Span(1, 2, "NR"),
    )
    with pytest.raises(ValueError, match="overlaps"):
        split_labelled_text("甲乙", [Span(0, 2, "NR"), Span(1, 2, "NS")])


examples = st.lists(st.builds(LabelledSentence, SHORT, st.just(())), max_size=60)


@given(examples, shares, shares, st.integers(0, 3))
def test_no_text_is_in_two_parts_and_no_example_is_lost(items, dev, test, seed):
    parts = split_train_dev_test(items, dev, test, seed)
    assert list(parts) == ["train", "dev", "test"]
    held = [{example.text for example in part} for part in parts.values()]
    assert sum(map(len, held)) == len(set().union(*held))
    assert Counter(e for part in parts.values() for e in part) == Counter(items)


@given(examples, shares, shares, st.integers(0, 3))
def test_parts_have_the_shares_of_the_distinct_texts(items, dev, test, seed):
    n = len({example.text for example in items})
    parts = split_train_dev_test(items, dev, test, seed)
    assert len({e.text for e in parts["dev"]}) == round(n * dev)
    assert len({e.text for e in parts["test"]}) == round(n * test)


@given(examples, st.integers(0, 3))
def test_order_is_kept_in_each_part(items, seed):
    numbered = [LabelledSentence(e.text, (Span(i, i + 1, "NR"),)) for i, e in enumerate(items)]
    for part in split_train_dev_test(numbered, 0.3, 0.3, seed).values():
        assert [e.spans[0].start for e in part] == sorted(e.spans[0].start for e in part)


@given(examples, shares, shares, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_part_of_a_text_depends_on_seed_and_texts_alone_not_on_their_order(items, dev, test, seed, random):
    again = list(items)
    random.shuffle(again)
    for name, part in split_train_dev_test(items, dev, test, seed).items():
        assert {e.text for e in part} == {e.text for e in split_train_dev_test(again, dev, test, seed)[name]}


def test_another_seed_draws_another_split():
    items = [LabelledSentence(chr(0x4E00 + i), ()) for i in range(100)]
    drawn = {tuple(split_train_dev_test(items, 0.1, 0.1, seed)["test"]) for seed in range(5)}
    assert len(drawn) == 5


@given(st.lists(tagged_texts().map(lambda pair: LabelledSentence(*pair)), max_size=5))
def test_examples_survive_the_file(tmp_path_factory, items):
    path = tmp_path_factory.mktemp("examples") / "a.jsonl"
    write_labelled_sentences(path, items)
    assert read_labelled_sentences(path) == items
    assert path.read_bytes().count(b"\n") == len(items)


@given(
    texts(), st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\0", '"', "\\"])
)
def test_an_example_is_one_line_whatever_its_characters(tmp_path_factory, text, odd):
    assume(text)
    path = tmp_path_factory.mktemp("examples") / "a.jsonl"
    items = [LabelledSentence(odd + text + odd, (Span(0, 1, "NR"),)), LabelledSentence(odd, ())]
    write_labelled_sentences(path, items)
    assert read_labelled_sentences(path) == items


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"{", "expected JSON, found something else"), (b"\xff", "expected JSON, found bytes that are not UTF-8"),
        (b"", "expected JSON, found an empty file"), (b"\0\0\0", "expected JSON, found something else"),
        (b'{"text": "a"', "expected JSON, found something else"),
        (b'{"text": "a"}', "expected the key spans, found none"), (b"[]", "expected a labelled sentence, found a list"),
        (b'{"text": 1, "spans": []}', "text: expected a text, found the number 1"),
        (b'{"text": "ab", "spans": [[0, 1]]}', r"spans\.0: expected a list of 3 values, found 2"),
        (b'{"text": "ab", "spans": [["0", 1, "NR"]]}', r"spans\.0\.0: expected a whole number, found the text '0'"),
        (b'{"text": "ab", "spans": [[0, 2, "NR"], [1, 2, "NS"]]}', ""),
        (b'{"text": "ab", "spans": [[0, 9, "NR"]]}', ""),
    ],
)  # fmt: skip
def test_a_line_that_holds_no_sentence_is_named(tmp_path, line, found):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "", "spans": []}\n' + line + b"\n")
    with pytest.raises(DamagedFileError, match=rf"a\.jsonl:2: {found}.*: the file is damaged; restore it") as caught:
        read_labelled_sentences(tmp_path / "a.jsonl")
    assert str(caught.value).isprintable()
