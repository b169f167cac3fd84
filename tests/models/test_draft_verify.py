"""Draft and verify gives the answers of the reference decoder, whatever the draft, the text and the batch."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding import greedy
from rayner.decoding.draft_verify import Decoder, Task
from rayner.fusion.gate import quiet, reach
from rayner.text.spans import checked
from tests.models.conftest import load_llm
from tests.strategies import at_most, rules, slm_scores, spans_in, texts

PROBABILITIES = ["unmasked", "allowed"]


def same(one, other, atol=1e-5):
    assert one.plain == other.plain
    np.testing.assert_allclose(one.decisions, other.decisions, atol=atol)
    for a, b in zip(one.spans, other.spans, strict=True):
        assert (a.category, a.boundary) == pytest.approx((b.category, b.boundary), abs=atol)


def plainly(llm, tasks, probability):
    texts, shown = [task.text for task in tasks], [task.examples for task in tasks]
    return greedy.answer(llm, texts, shown, probability=probability, batch_size=8)


@st.composite
def tasks(draw, sentences):
    """Up to six texts: the draft right by chance at best, the examples none, few, or shared."""
    shared = draw(st.lists(st.sampled_from(sentences[:20]), max_size=2))
    made = []
    for _ in range(draw(st.integers(1, 6))):
        text = draw(texts(14))
        shown = draw(st.sampled_from([(), shared, sentences[20:21]]))
        made.append(Task(text, shown, draw(spans_in(len(text)))))
    return made


@at_most(60)
@given(st.data(), st.sampled_from(PROBABILITIES), st.integers(1, 5))
def test_answers_are_those_of_the_reference_whatever_the_draft(random_llm, sentences, data, probability, batch_size):
    drawn = data.draw(tasks(sentences))
    found = Decoder(random_llm, probability=probability, batch_size=batch_size).answer(drawn)
    for one, other in zip(found, plainly(random_llm, drawn, probability), strict=True):
        same(one, other)


@at_most(40)
@given(st.data(), st.sampled_from(PROBABILITIES))
def test_an_answer_that_need_not_be_read_to_its_end_begins_like_the_reference(random_llm, data, probability):
    text = data.draw(texts(14).filter(bool))
    slm, rule = data.draw(slm_scores(len(text))), data.draw(rules())
    task = Task(text, (), slm.spans, quiet(slm, rule))
    (found,), (whole,) = (
        Decoder(random_llm, probability=probability, batch_size=2).answer([task]),
        plainly(random_llm, [task], probability),
    )
    end = reach(slm, whole.plain, rule)
    assert end <= found.known
    assert found.plain == tuple(span for span in whole.plain if span.end <= found.known)
    np.testing.assert_allclose(found.decisions[: found.known + 1], whole.decisions[: found.known + 1], atol=1e-5)
    if found.known < len(text):
        assert found.known == end  # no further than needed


def right_drafts(llm, chosen, shown=()):
    """The texts with the reference's own answers as drafts."""
    bare = [Task(text, shown) for text in chosen]
    return [Task(t.text, shown, a.plain) for t, a in zip(bare, plainly(llm, bare, "allowed"), strict=True)]


def test_a_right_draft_takes_one_pass_and_a_wrong_one_few(random_llm, sentences):
    chosen = [e.text for e in sentences[:12]]
    right = Decoder(random_llm, probability="allowed", batch_size=4).answer(right_drafts(random_llm, chosen))
    assert [one.passes for one in right] == [1] * 12
    empty = Decoder(random_llm, probability="allowed", batch_size=4).answer([Task(text) for text in chosen])
    tokens = plainly(random_llm, [Task(text) for text in chosen], "allowed")
    assert sum(one.passes for one in empty) < sum(one.passes for one in tokens) / 2


def test_examples_that_several_texts_share_are_read_once(random_llm, sentences):
    chosen, shown = [e.text for e in sentences[:8]], sentences[100:103]
    drafted = right_drafts(random_llm, chosen, shown)
    together = Decoder(random_llm, probability="allowed", batch_size=8)
    apart = Decoder(random_llm, probability="allowed", batch_size=8)
    found = together.answer(drafted)
    alone = [apart.answer([task])[0] for task in drafted]
    for one, other in zip(found, alone, strict=True):
        same(one, other)
    examples = len(random_llm.shown(shown))
    assert apart.work.tokens - together.work.tokens == 7 * examples


def test_little_of_a_batch_is_padding(random_llm, sentences):
    rng = random.Random(3)
    drafted = [Task(e.text, rng.choice([(), sentences[:1]]), e.spans) for e in sentences[:120]]
    decoder = Decoder(random_llm, probability="allowed", batch_size=16)
    decoder.answer(drafted)
    assert decoder.work.padding < 0.1 * (decoder.work.tokens + decoder.work.padding)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_answers_are_legal_and_whole_in_either_precision(decoder_folder, types, sentences, dtype):
    llm = load_llm(decoder_folder, types, dtype=dtype)
    drafted = [Task(e.text, sentences[:1], e.spans) for e in sentences[50:58]]
    for task, found in zip(drafted, Decoder(llm, probability="unmasked", batch_size=4).answer(drafted), strict=True):
        assert found.known == len(task.text)
        assert checked(found.plain, len(task.text)) == found.plain
        assert ((found.decisions >= 0) & (found.decisions <= 1)).all()


def test_no_texts_have_no_answers_and_no_text_has_no_entity(random_llm):
    decoder = Decoder(random_llm, probability="allowed", batch_size=4)
    assert decoder.answer([]) == []
    (empty,) = decoder.answer([Task("")])
    assert (empty.spans, empty.decisions.tolist(), empty.passes) == ((), [1.0], 0)


def test_a_chat_template_and_a_task_are_read_once_for_all(chat_folder, types, sentences):
    llm = load_llm(chat_folder, types, chat=True)
    assert len(llm.opening()) > 3
    drafted = [Task(e.text, (), e.spans) for e in sentences[:6]]
    decoder = Decoder(llm, probability="allowed", batch_size=3)
    before = decoder.work.tokens
    assert before == len(llm.opening())
    for one, other in zip(decoder.answer(drafted), plainly(llm, drafted, "allowed"), strict=True):
        same(one, other)
