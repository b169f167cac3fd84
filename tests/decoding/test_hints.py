"""All engines put the hint into the prompt, and give the same answers with it, whatever the batch and the budget."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.free import FreeEngine
from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.long_texts import TextRequest, answer_texts
from rayner.llm.retrieval import ExampleRetriever
from rayner.text.hints import HintEntity
from rayner.text.predictions import join_window_answers
from rayner.text.segmentation import split_windows
from rayner.text.spans import Span
from tests.decoding.test_draft_verify import PROBABILITIES, same, tasks
from tests.decoding.test_free import longest, read_plainly
from tests.decoding.test_token_budget import answer, tokens_if_alone
from tests.strategies import at_most, hints, spans_in

SETTINGS = {"softmax_over": "allowed", "batch_size": 4}


@pytest.fixture(scope="module", params=["tags", "confidence"])
def llm(random_llm, request):
    """The random LLM, whose prompts show a hint."""
    return dataclasses.replace(random_llm, hint=request.param)


@st.composite
def hinted_tasks(draw, sentences):
    """Requests with hints; the draft is that of the hint, as in a job, or another."""
    made = []
    for request in draw(tasks(sentences)):
        hint = draw(hints(draw(spans_in(len(request.text)))))
        draft = draw(st.sampled_from([request.draft, [entity.span for entity in hint]]))
        made.append(dataclasses.replace(request, draft=draft, hint=hint))
    return made


@at_most(20)
@given(st.data(), st.sampled_from(PROBABILITIES), st.integers(1, 5), st.integers(1, 3000))
def test_answers_are_those_of_the_reference_and_the_budget_counts_the_hint(
    llm, sentences, data, probability, batch_size, budget
):
    drawn = data.draw(hinted_tasks(sentences))
    found, live, engine = answer(llm, drawn, budget, probability, batch_size)
    alone = [tokens_if_alone(llm, request) for request in drawn]
    assert live.peak <= max(budget, *alone)
    assert engine.cost.oversized == sum(need > budget for need in alone)
    reference = GreedyEngine(llm, softmax_over=probability, batch_size=8).answer_requests(drawn)
    for one, other in zip(found, reference, strict=True):
        same(one, other)


def requests_of(sentences):
    """The small model found one entity too few in each sentence, or everything."""
    return [
        WindowRequest(e.text, sentences[40:41], e.spans, hint=[HintEntity(span, 0.8) for span in e.spans[i % 2 :]])
        for i, e in enumerate(sentences[:12])
    ]


def test_each_choice_is_the_most_likely_after_the_prompt_with_the_hint(llm, sentences):
    requests, n_choices = requests_of(sentences), 0
    for request, found in zip(requests, GreedyEngine(llm, **SETTINGS).answer_requests(requests), strict=True):
        steps = llm.build_grammar(request.text).spell_answer(found.spans)
        prompt = llm.prompt_tokens(request.examples, request.text, request.hint)
        with torch.no_grad():
            logits = llm.model(input_ids=torch.tensor([[*prompt, *(step.token for step in steps)]])).logits[0]
        for k, step in enumerate(steps):
            choices = logits[len(prompt) + k - 1, list(step.allowed)]
            assert step.token == step.allowed[int(choices.argmax())]
            n_choices += len(step.allowed) > 1
    assert n_choices > 100


def test_another_hint_gives_other_probabilities_and_the_same_draft_does_not_matter(llm, sentences):
    requests = requests_of(sentences)
    empty = [dataclasses.replace(request, hint=()) for request in requests]
    engine = DraftVerifyEngine(llm, **SETTINGS)
    pairs = zip(engine.answer_requests(requests), engine.answer_requests(empty), strict=True)
    assert sum(abs(one.slot_probs - other.slot_probs).max() > 1e-3 for one, other in pairs) > 8


def test_free_answers_see_the_hint(llm, sentences):
    requests = [dataclasses.replace(each, text=each.text[:9], hint=()) for each in requests_of(sentences)[:4]]
    requests += [dataclasses.replace(each, hint=[HintEntity(Span(0, 2, "NR"), 0.9)]) for each in requests]
    engine = FreeEngine(llm, batch_size=3)
    expected = [read_plainly(llm, request, longest(engine, request.text)) for request in requests]
    for one, other in zip(engine.answer_requests(requests), expected, strict=True):
        same(one, other)


def test_a_long_text_has_in_each_window_the_hint_of_its_part(llm, sentences):
    text = "楚懷王之曰大夫將軍漢人" * 4
    hint = [HintEntity(Span(i, i + 3, "NR"), 0.6) for i in range(0, 42, 6)]
    retriever, engine = ExampleRetriever("fixed", 1, sentences), DraftVerifyEngine(llm, **SETTINGS)
    request = TextRequest(text, [entity.span for entity in hint], hint=hint)
    (found,) = answer_texts(engine, [request], retriever=retriever, max_chars=12, overlap=4)
    windows = split_windows(len(text), 12, 4)
    parts = [
        WindowRequest(
            text[w.start : w.end],
            retriever.find_examples([text[w.start : w.end]])[0],
            hint=[
                HintEntity(entity.span.shift(-w.start), entity.confidence)
                for entity in hint
                if w.start <= entity.span.start and entity.span.end <= w.end
            ],
        )
        for w in windows
    ]
    assert len({len(part.hint) for part in parts}) > 1
    same(found, join_window_answers(GreedyEngine(llm, **SETTINGS).answer_requests(parts), windows))
