"""Free answers: an exact copy is read as the tag grammar reads it, and anything else is read too, and counted."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.free_answer import GeneratedAnswer, read_free_answer
from rayner.text.markup import escape_char, spans_to_markup
from rayner.text.predictions import FreeAnswerFaults
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import TagGrammar, TagSpelling
from tests.strategies import TYPES, tagged_texts, texts

PROBS = st.floats(0.01, 1)
CLEAN = FreeAnswerFaults(answers=1)


@st.composite
def split_into_tokens(draw, markup):
    """The markup as any tokenizer may split it, several tokens to a character and several characters to a token."""
    starts = sorted(draw(st.lists(st.integers(0, max(0, len(markup) - 1)), max_size=2 * len(markup))))
    starts = [0, *starts] if markup else []
    probs = draw(st.lists(PROBS, min_size=len(starts), max_size=len(starts)))
    return GeneratedAnswer(markup, starts, probs, draw(st.none() | PROBS))


def read(text, markup, types=TYPES, end_prob=1.0):
    """The answer whose tokens are the characters of the markup, each with probability 0.5."""
    generated = GeneratedAnswer(markup, range(len(markup)), [0.5] * len(markup), end_prob)
    return read_free_answer(text, generated, types)


def faults(**counts):
    return FreeAnswerFaults(answers=1, **counts)


@given(tagged_texts(), st.data())
def test_an_exact_copy_has_the_entities_of_its_tags_and_no_faults(drawn, data):
    text, spans = drawn
    generated = data.draw(split_into_tokens(spans_to_markup(text, spans)))
    answer = read_free_answer(text, generated, TYPES)
    assert answer.spans == spans
    assert answer.faults == faults(cut_off=int(generated.end_prob is None))
    assert answer.passes == len(generated.token_probs)


markups = st.lists(
    st.sampled_from(["<", ">", "</", "&", "&lt;", "&amp;", *TYPES, "XX", *(f"<{t}>" for t in TYPES),
                     *(f"</{t}>" for t in TYPES), "<XX>", "</XX>", "<非常長的類型名稱沒有人寫過這樣的名字>", " ", "\n"])
    | texts(4),
    max_size=14,
).map("".join)  # fmt: skip


@given(texts(12), markups, st.data(), st.sampled_from([TYPES, ("NR",), ()]))
def test_any_answer_is_read_and_its_probabilities_are_probabilities(text, markup, data, types):
    answer = read_free_answer(text, data.draw(split_into_tokens(markup)), types)
    assert sort_and_check_spans(answer.spans, len(text)) == answer.spans
    assert {span.type for span in answer.spans} <= set(types)
    assert answer.slot_probs.shape == (len(text) + 1,)
    assert answer.slot_probs.dtype == np.float32
    assert ((answer.slot_probs >= 0) & (answer.slot_probs <= 1)).all()
    assert all(0 <= p <= 1 for entity in answer.entities for p in (entity.category_prob, entity.boundary_prob))
    assert answer.faults.answers == 1
    assert answer.faults.deleted + answer.faults.replaced <= len(text)
    assert answer.faults.changed == bool(answer.faults.inserted + answer.faults.deleted + answer.faults.replaced)
    n_tags = sum(markup.count(f"<{slash}{type_}>") for slash in ("", "/") for type_ in types)
    assert len(answer.entities) <= n_tags // 2


@given(tagged_texts(12), st.data())
def test_an_answer_in_the_tokens_of_the_grammar_has_the_probabilities_of_the_grammar(drawn, data):
    """If the tokens that the grammar forces are certain, as they are for it."""
    text, spans = drawn
    sizes = [data.draw(st.integers(1, 3)) for _ in text]
    letters = {letter: 3 + i for i, letter in enumerate("NBRS")}
    grammar = TagGrammar(
        [(100 + i, *[99] * (size - 1)) for i, size in enumerate(sizes)],
        TagSpelling((0,), (1,), (2,), {type_: tuple(letters[letter] for letter in type_) for type_ in TYPES}),
    )
    steps = grammar.spell_answer(spans)
    probs = [data.draw(PROBS) if len(step.allowed) > 1 else 1.0 for step in steps]
    text_of = {0: "<", 1: "</", 2: ">", 99: "", **{token: letter for letter, token in letters.items()},
               **{100 + i: escape_char(char) for i, char in enumerate(text)}}  # fmt: skip
    pieces = [text_of[step.token] for step in steps]
    ends = list(accumulate(map(len, pieces)))
    starts = [end - len(piece) for end, piece in zip(ends, pieces, strict=True)]
    for k in range(1, len(steps)):
        starts[k] = starts[k - 1] if steps[k].token == 99 else starts[k]
    generated = GeneratedAnswer("".join(pieces), starts, probs, 1.0)
    found, expected = read_free_answer(text, generated, TYPES), grammar.read_answer([s.token for s in steps], probs)
    assert found.spans == expected.spans == spans
    for one, other in zip(found.entities, expected.entities, strict=True):
        assert one.category_prob == pytest.approx(other.category_prob)
        assert one.boundary_prob == pytest.approx(other.boundary_prob)
    np.testing.assert_allclose(found.slot_probs, expected.slot_probs, rtol=1e-5)


def test_probabilities_of_an_answer_worked_by_hand():
    # 楚<NR>懷王</NR>使: 楚 and 懷 of one token each, 王使 shares no token, `<NR` is one token, `</` and NR are two.
    pieces = ["楚", "<NR", ">", "懷", "王", "</", "NR", ">使"]
    probs = [0.5, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2]
    starts = [0, *accumulate(map(len, pieces[:-1]))]
    answer = read_free_answer("楚懷王使", GeneratedAnswer("".join(pieces), starts, probs, 0.1), ["NR", "NS"])
    (entity,) = answer.entities
    assert entity.span == Span(1, 3, "NR")
    assert entity.category_prob == 0.9  # before `<NR` both types are possible, before `>` only one
    assert entity.boundary_prob == pytest.approx((0.5 + 0.9 + 0.6 + 0.4) / 4)
    # `>使` begins with the tag, and holds the character after slot 3.
    expected = [0.5, 0.9 * 0.8 * 0.7, 0.6, 0.4 * 0.3 * 0.2, 0.1]
    np.testing.assert_allclose(answer.slot_probs, expected, rtol=1e-6)


def test_the_end_of_a_name_counts_if_another_type_goes_on():
    pieces = ["<", "N", ">", "楚", "</", "N", ">"]
    starts = [0, *accumulate(map(len, pieces[:-1]))]
    probs = [1.0, 0.5, 0.25, 1.0, 1.0, 0.1, 0.1]
    for types, expected in ((["N", "NR"], 0.125), (["N", "T"], 0.5), (["N"], 1.0)):
        answer = read_free_answer("楚", GeneratedAnswer("".join(pieces), starts, probs, 1.0), types)
        assert answer.entities[0].category_prob == expected


def test_a_character_of_which_nothing_was_written_has_no_probability():
    answer = read("楚懷王使", "楚王")
    np.testing.assert_allclose(answer.slot_probs, [0.5, 0, 0.5, 0, 1])
    np.testing.assert_allclose(read("楚懷", "楚懷", end_prob=None).slot_probs, [0.5, 0.5, 0])
    np.testing.assert_allclose(read("楚懷", "楚怀").slot_probs, [0.5, 0.5, 1])  # replaced
    np.testing.assert_allclose(read("楚懷", "楚大懷").slot_probs, [0.5, 0.25, 1])  # after an inserted one
    np.testing.assert_allclose(read("楚懷", "").slot_probs, [0, 0, 1])
    assert read("", "").slot_probs.tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "markup", "spans", "counts"),
    [
        ("楚懷王", "楚<NR>懷王</NR>", [(1, 3, "NR")], {}),
        ("楚懷王", " 楚<NR>懷王</NR>\n", [(1, 3, "NR")], {}),  # white space at the ends is no change
        ("楚懷王", "楚<NR>怀王</NR>", [(1, 3, "NR")], {"changed": 1, "replaced": 1}),
        ("楚懷王", "楚<NR>怀玉</NR>", [], {"changed": 1, "replaced": 2, "not_aligned": 1}),
        ("司馬遷", "<NR>司遷</NR>", [], {"changed": 1, "deleted": 1, "not_aligned": 1}),
        ("楚王", "<NR>楚懷王</NR>", [], {"changed": 1, "inserted": 1, "not_aligned": 1}),
        ("楚王怒", "<NR>懷王</NR>怒", [(0, 2, "NR")], {"changed": 1, "replaced": 1}),
        ("楚王", "<人名>楚王</人名>", [], {"unknown_tags": 2}),
        ("楚王", "<NR>楚王", [], {"unclosed_tags": 1}),
        ("楚王", "楚王</NR>", [], {"unopened_tags": 1}),
        ("楚王", "<NR>楚王</NS>", [], {"unclosed_tags": 1, "unopened_tags": 1}),
        ("楚王", "<NR><NS>楚</NS>王</NR>", [(0, 2, "NR")], {"nested": 1}),
        ("楚王", "<NR>楚<NS>王</NR>", [(0, 2, "NR")], {"unclosed_tags": 1}),
        ("楚王怒", "<NR>楚<NS>王</NS>怒", [(1, 2, "NS")], {"unclosed_tags": 1}),
        ("楚王", "<NR></NR>楚王", [], {"empty": 1}),
        ("<楚>&", "&lt;<NR>楚</NR>>&amp;", [(1, 2, "NR")], {}),
        ("<楚>&", "<楚>&", [], {"changed": 1, "deleted": 3, "unknown_tags": 1}),
        ("a<b", "a<b", [], {}),  # a `<` that begins no tag
        ("楚王。", "楚王。\n句：秦王\n答：<NR>秦王</NR>", [], {"changed": 1, "inserted": 10, "not_aligned": 1}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_counted(text, markup, spans, counts):
    answer = read(text, markup)
    assert answer.spans == tuple(Span(*span) for span in spans)
    assert answer.faults == faults(**counts)
