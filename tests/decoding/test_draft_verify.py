"""Draft and verify gives the answers of the reference decoder, whatever the draft, the text and the batch."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.gate import first_slot_outside_spans
from rayner.runs.heartbeat import pass_beats_on
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import TokenRole
from tests.checkpoints import load_llm
from tests.strategies import any_span_in, at_most, rules, slm_scores, spans_in, texts, types

PROBABILITIES = ["all", "allowed"]


def same(one, other, atol=1e-5):
    assert one.spans == other.spans
    np.testing.assert_allclose(one.slot_probs, other.slot_probs, atol=atol)
    for a, b in zip(one.entities, other.entities, strict=True):
        assert (a.category_prob, a.boundary_prob) == pytest.approx((b.category_prob, b.boundary_prob), abs=atol)
    assert (one.candidate_scores is None) == (other.candidate_scores is None)
    scores = [answer.candidate_scores or () for answer in (one, other)]
    assert [score.span for score in scores[0]] == [score.span for score in scores[1]]
    np.testing.assert_allclose(*([probabilities_of(score) for score in each] for each in scores), atol=atol)


def probabilities_of(score):
    odds = np.array([score.opening, score.category, score.going_on, score.closing])
    return 1 / (1 + np.exp(-odds))


def plainly(llm, tasks, probability):
    undrafted = [WindowRequest(task.text, task.examples, candidates=task.candidates) for task in tasks]
    return GreedyEngine(llm, softmax_over=probability, batch_size=8).answer_requests(undrafted)


@st.composite
def candidates_in(draw, n_chars, kinds=types):
    """Spans that often overlap, or none at all; None asks for no scores."""
    if not n_chars:
        return draw(st.sampled_from([None, ()]))
    return draw(st.none() | st.lists(any_span_in(n_chars, kinds=kinds), max_size=5))


@st.composite
def tasks(draw, sentences):
    """Up to six texts: the draft right by chance at best, the examples none, few, or shared."""
    shared = draw(st.lists(st.sampled_from(sentences[:20]), max_size=2))
    made = []
    for _ in range(draw(st.integers(1, 6))):
        text = draw(texts(14))
        shown = draw(st.sampled_from([(), shared, sentences[20:21]]))
        made.append(WindowRequest(text, shown, draw(spans_in(len(text))), candidates=draw(candidates_in(len(text)))))
    return made


@at_most(60)
@given(st.data(), st.sampled_from(PROBABILITIES), st.integers(1, 5))
def test_answers_are_those_of_the_reference_whatever_the_draft(random_llm, sentences, data, probability, batch_size):
    drawn = data.draw(tasks(sentences))
    found = DraftVerifyEngine(random_llm, softmax_over=probability, batch_size=batch_size).answer_requests(drawn)
    for one, other in zip(found, plainly(random_llm, drawn, probability), strict=True):
        same(one, other)


def test_each_answer_is_counted_once_with_its_characters(random_llm, sentences):
    tasks = [WindowRequest(sentence.text, candidates=sentence.spans) for sentence in sentences[:9]]
    beats = []
    pass_beats_on(lambda *counts: beats.append(counts))
    try:
        DraftVerifyEngine(random_llm, softmax_over="all", batch_size=4).answer_requests(tasks)
    finally:
        pass_beats_on(None)
    assert sum(n_texts for n_texts, _ in beats) == len(tasks)
    assert sum(n_chars for _, n_chars in beats) == sum(len(task.text) for task in tasks)
    assert sum(n_texts > 0 for n_texts, _ in beats) > 1  # on the way, not at the end


@pytest.fixture(scope="module")
def medical_llm(decoder_folder, random_llm):
    """The random LLM with types that it spells letter by letter, all with the first letter in common but one."""
    made = load_llm(decoder_folder, ["ZD", "ZP", "ZS", "Q"])
    made.model.load_state_dict(random_llm.model.state_dict())
    return made


@at_most(40)
@given(st.data(), st.sampled_from(PROBABILITIES), st.integers(1, 5))
def test_types_of_several_tokens_have_the_same_probabilities_with_drafts(
    medical_llm, sentences, data, probability, batch_size
):
    assert [len(tokens) for tokens in medical_llm.tag_spelling.types.values()] == [2, 2, 2, 1]
    kinds = st.sampled_from(["ZD", "ZS", "Q"])
    drawn = [
        WindowRequest(each.text, each.examples, [Span(s.start, s.end, data.draw(kinds)) for s in each.draft],
                      candidates=data.draw(candidates_in(len(each.text), kinds)))
        for each in data.draw(tasks(sentences))
    ]  # fmt: skip
    found = DraftVerifyEngine(medical_llm, softmax_over=probability, batch_size=batch_size).answer_requests(drawn)
    for one, other in zip(found, plainly(medical_llm, drawn, probability), strict=True):
        same(one, other)
        assert all(0 <= entity.category_prob <= 1 for entity in one.entities)


def test_the_category_of_types_that_begin_alike_is_that_of_their_whole_name(medical_llm, sentences):
    """By the first token alone, ZD, ZP and ZS at a slot would all have the probability of Z."""
    ends, names = medical_llm.tag_spelling.end, medical_llm.tag_spelling.types
    compared = 0
    for text in [e.text for e in sentences[:20]]:
        (answer,) = DraftVerifyEngine(medical_llm, softmax_over="all", batch_size=1).answer_requests(
            [WindowRequest(text)]
        )
        tokens = [step.token for step in medical_llm.build_grammar(text).spell_answer(answer.spans)]
        prompt = medical_llm.prompt_tokens([], text)
        with torch.no_grad():
            probs = medical_llm.model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0].double().softmax(-1)
        starts = [k + 1 for k, step in enumerate(medical_llm.build_grammar(text).spell_answer(answer.spans))
                  if step.role is TokenRole.OPEN]  # fmt: skip
        for entity, k in zip(answer.entities, starts, strict=True):
            name = names[entity.span.type]
            assert tuple(tokens[k : k + len(name)]) == name
            assert tokens[k + len(name)] == ends[0]
            product = np.prod([float(probs[len(prompt) + k + i - 1, token]) for i, token in enumerate(name)])
            assert entity.category_prob == pytest.approx(product, abs=1e-5)
            compared += len(name) > 1
    assert compared > 2


@at_most(40)
@given(st.data(), st.sampled_from(PROBABILITIES))
def test_an_answer_that_need_not_be_read_to_its_end_begins_like_the_reference(random_llm, data, probability):
    text = data.draw(texts(14).filter(bool))
    slm, rule = data.draw(slm_scores(len(text))), data.draw(rules() | st.builds(CharacterRule, st.floats(-5, 5)))
    task = WindowRequest(text, (), slm.spans, rule.stop_mask(slm))
    (found,), (whole,) = (
        DraftVerifyEngine(random_llm, softmax_over=probability, batch_size=2).answer_requests([task]),
        plainly(random_llm, [task], probability),
    )
    end = first_slot_outside_spans(rule.stop_mask(slm), whole.spans)
    assert end <= found.last_known_slot
    assert found.spans == tuple(span for span in whole.spans if span.end <= found.last_known_slot)
    np.testing.assert_allclose(
        found.slot_probs[: found.last_known_slot + 1], whole.slot_probs[: found.last_known_slot + 1], atol=1e-5
    )
    if found.last_known_slot < len(text):
        assert found.last_known_slot == end  # no further than needed


def right_drafts(llm, chosen, shown=()):
    """The texts with the reference's own answers as drafts."""
    bare = [WindowRequest(text, shown) for text in chosen]
    return [WindowRequest(t.text, shown, a.spans) for t, a in zip(bare, plainly(llm, bare, "allowed"), strict=True)]


def test_a_right_draft_takes_one_pass_and_a_wrong_one_few(random_llm, sentences):
    chosen = [e.text for e in sentences[:12]]
    right = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=4).answer_requests(
        right_drafts(random_llm, chosen)
    )
    assert [one.passes for one in right] == [1] * 12
    empty = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=4).answer_requests(
        [WindowRequest(text) for text in chosen]
    )
    tokens = plainly(random_llm, [WindowRequest(text) for text in chosen], "allowed")
    assert sum(one.passes for one in empty) < sum(one.passes for one in tokens) / 2


def test_examples_that_several_texts_share_are_read_once(random_llm, sentences):
    chosen, shown = [e.text for e in sentences[:8]], sentences[100:103]
    drafted = right_drafts(random_llm, chosen, shown)
    together = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=8)
    apart = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=8)
    found = together.answer_requests(drafted)
    alone = [apart.answer_requests([task])[0] for task in drafted]
    for one, other in zip(found, alone, strict=True):
        same(one, other)
    examples = len(random_llm.example_tokens(shown))
    assert apart.cost.tokens - together.cost.tokens == 7 * examples


def test_little_of_a_batch_is_padding(random_llm, sentences):
    rng = random.Random(3)
    drafted = [WindowRequest(e.text, rng.choice([(), sentences[:1]]), e.spans) for e in sentences[:120]]
    decoder = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=16)
    decoder.answer_requests(drafted)
    assert decoder.cost.padding < 0.1 * (decoder.cost.tokens + decoder.cost.padding)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_answers_are_legal_and_whole_in_either_precision(decoder_folder, types, sentences, dtype):
    llm = load_llm(decoder_folder, types, dtype=dtype)
    drafted = [WindowRequest(e.text, sentences[:1], e.spans) for e in sentences[50:58]]
    for task, found in zip(
        drafted, DraftVerifyEngine(llm, softmax_over="all", batch_size=4).answer_requests(drafted), strict=True
    ):
        assert found.last_known_slot == len(task.text)
        assert sort_and_check_spans(found.spans, len(task.text)) == found.spans
        assert ((found.slot_probs >= 0) & (found.slot_probs <= 1)).all()


def test_no_texts_have_no_answers_and_no_text_has_no_entity(random_llm):
    decoder = DraftVerifyEngine(random_llm, softmax_over="allowed", batch_size=4)
    assert decoder.answer_requests([]) == []
    (empty,) = decoder.answer_requests([WindowRequest("")])
    assert (empty.entities, empty.slot_probs.tolist(), empty.passes) == ((), [1.0], 0)


def test_a_chat_template_and_a_task_are_read_once_for_all(chat_folder, types, sentences):
    llm = load_llm(chat_folder, types, chat=True)
    assert len(llm.instruction_tokens()) > 3
    drafted = [WindowRequest(e.text, (), e.spans) for e in sentences[:6]]
    decoder = DraftVerifyEngine(llm, softmax_over="allowed", batch_size=3)
    before = decoder.cost.tokens
    assert before == len(llm.instruction_tokens())
    for one, other in zip(decoder.answer_requests(drafted), plainly(llm, drafted, "allowed"), strict=True):
        same(one, other)
