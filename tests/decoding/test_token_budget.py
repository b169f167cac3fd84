"""The LLM never holds more tokens than the budget, and the budget changes no answer."""

import logging
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding import draft_verify
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.token_budget import NO_TOKEN_LIMIT, AnswerNeed, plan_rounds
from rayner.runs.progress import log
from tests.checkpoints import load_llm
from tests.decoding.test_draft_verify import plainly, same, tasks
from tests.strategies import at_most


class LiveTokens:
    """How many tokens the caches hold that are alive: those of single texts, and those of batches with padding."""

    def __init__(self):
        self.alive, self.peak, self.shapes = [], 0, []

    def add(self, holder, n_tokens):
        self.alive = [(ref, count) for ref, count in self.alive if ref() is not None]
        self.alive.append((weakref.ref(holder), n_tokens))
        self.peak = max(self.peak, sum(count for _, count in self.alive))

    def watch(self, monkeypatch):
        join, cut = draft_verify.join_and_preallocate_caches, draft_verify.slice_cache

        def joined(rows, n_new_tokens):
            cache, n_cached = join(rows, n_new_tokens)
            self.shapes.append((len(rows), n_cached, n_new_tokens))
            self.add(cache, len(rows) * (n_cached + n_new_tokens))
            return cache, n_cached

        def sliced(cache, row, start, end):
            tensor = cut(cache, row, start, end)
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()  # a copy, and no more
            self.add(tensor, tensor.shape[3])
            return tensor

        monkeypatch.setattr(draft_verify, "join_and_preallocate_caches", joined)
        monkeypatch.setattr(draft_verify, "slice_cache", sliced)


def answer(llm, requests, batch_tokens, probability="allowed", batch_size=8, before=()):
    """The answers, and what the caches held meanwhile. before: requests that the engine answers first."""
    live = LiveTokens()
    with pytest.MonkeyPatch.context() as patch:
        live.watch(patch)
        engine = DraftVerifyEngine(llm, softmax_over=probability, batch_size=batch_size, batch_tokens=batch_tokens)
        engine.answer_requests(before)
        live.peak, live.shapes = 0, []
        answers = engine.answer_requests(requests)
    return answers, live, engine


def tokens_if_alone(llm, request):
    """What the text needs by itself: its prompt and its longest answer, in a batch and cut out of the batch."""
    prompt = llm.prompt_tokens(request.examples, request.text, request.hint)
    return 2 * (len(prompt) + llm.build_grammar(request.text).max_answer_tokens())


@pytest.fixture(scope="module")
def wordy_llm(chat_folder, types, random_llm):
    """The random LLM with an instruction and a chat template, whose cache all prompts share."""
    llm = load_llm(chat_folder, types, instruction="請標出下文中的人名與地名，逐字抄寫。", chat=True)
    llm.model.load_state_dict(random_llm.model.state_dict())
    return llm


@at_most(80)
@given(st.data(), st.sampled_from(["all", "allowed"]), st.integers(1, 6), st.integers(1, 3000))
def test_no_more_tokens_than_the_budget_are_alive_and_answers_are_the_reference(
    wordy_llm, sentences, data, probability, batch_size, budget
):
    drawn = data.draw(tasks(sentences))
    found, live, engine = answer(wordy_llm, drawn, budget, probability, batch_size)
    alone = [tokens_if_alone(wordy_llm, request) for request in drawn]
    assert live.peak <= max(budget, *alone)
    assert engine.cost.oversized == sum(need > budget for need in alone)
    for one, other in zip(found, plainly(wordy_llm, drawn, probability), strict=True):
        same(one, other)


def many_requests(sentences):
    """Of many lengths; a third shares examples with some others, a third has its own, a third has none."""
    return [
        WindowRequest(e.text, (sentences[200 + i // 12 * 3 : 203 + i // 12 * 3], sentences[i : i + 2], ())[i % 3])
        for i, e in enumerate(sentences[:60])
    ]


@pytest.mark.parametrize("share", [2, 5])
def test_a_budget_below_what_was_held_without_one_is_kept_by_smaller_batches(wordy_llm, sentences, share):
    requests = many_requests(sentences)
    free, unlimited, _ = answer(wordy_llm, requests, NO_TOKEN_LIMIT)
    budget = unlimited.peak // share
    held, limited, engine = answer(wordy_llm, requests, budget)
    assert max(tokens_if_alone(wordy_llm, request) for request in requests) < budget
    assert budget / 3 < limited.peak <= budget  # and most of it is not left unused
    assert engine.cost.oversized == 0
    assert len(limited.shapes) > len(unlimited.shapes)
    for one, other in zip(free, held, strict=True):
        same(one, other)


def test_later_passes_keep_the_budget_too_though_each_row_begins_with_the_shared_examples(wordy_llm, sentences):
    requests = [WindowRequest(e.text[:6], sentences[200:206]) for e in sentences[:40]]  # with no draft, so many passes
    free, _, _ = answer(wordy_llm, requests, NO_TOKEN_LIMIT, batch_size=16)
    prefix = len(wordy_llm.instruction_tokens()) + len(wordy_llm.example_tokens(sentences[200:206]))
    budget = 8 * prefix
    held, limited, engine = answer(wordy_llm, requests, budget, batch_size=16)
    later = [shape for shape in limited.shapes if shape[1] > prefix]
    assert max(rows for rows, _, _ in later) > 1
    assert all(2 * rows * (cached + new) <= budget for rows, cached, new in later)
    assert limited.peak <= budget
    assert engine.cost.oversized == 0
    for one, other in zip(free, held, strict=True):
        same(one, other)


def test_batches_depend_on_nothing_that_was_done_before(wordy_llm, sentences):
    requests = many_requests(sentences)
    fresh, first, _ = answer(wordy_llm, requests[:20], 4000)
    later, second, _ = answer(wordy_llm, requests[:20], 4000, before=requests[30:])
    assert first.shapes == second.shapes
    assert first.peak == second.peak
    for one, other in zip(fresh, later, strict=True):
        same(one, other, atol=0)


def test_half_of_the_budget_is_what_smaller_batches_get(random_llm):
    for engine_class in (DraftVerifyEngine, GreedyEngine):
        engine = engine_class(random_llm, softmax_over="allowed", batch_size=12, batch_tokens=1001)
        smaller = engine.with_smaller_batches(4)
        assert (smaller.batch_size, smaller.batch_tokens) == (3, 250)
        assert engine.with_smaller_batches(2**40).batch_tokens == 1
        assert (engine.batch_size, engine.batch_tokens) == (12, 1001)


def test_a_text_that_exceeds_the_budget_is_told(wordy_llm, sentences, caplog, monkeypatch):
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(log, "propagate", False)
    requests = [WindowRequest(e.text) for e in sentences[:9]]
    alone = sorted(tokens_if_alone(wordy_llm, request) for request in requests)
    assert alone[-3] < alone[-2]
    # The greedy engine needs no copies of caches, so half as much.
    for engine_class, copies in ((DraftVerifyEngine, 2), (GreedyEngine, 1)):
        caplog.clear()
        budget, most = alone[-3] * copies // 2, alone[-1] * copies // 2
        engine = engine_class(wordy_llm, softmax_over="allowed", batch_size=4, batch_tokens=budget)
        with caplog.at_level(logging.WARNING, logger="rayner"):
            engine.answer_requests(requests)
        assert caplog.messages == [
            f"score.llm.batch_tokens: 2 of 9 texts need more than the {budget} tokens, up to {most}; "
            "each was answered alone"
        ]


@pytest.mark.parametrize("budget", [1, 200, 700, 3000])
def test_the_greedy_engine_keeps_the_budget_too(wordy_llm, sentences, monkeypatch, budget):
    requests = many_requests(sentences)[:12]
    engine = GreedyEngine(wordy_llm, softmax_over="allowed", batch_size=5, batch_tokens=budget)
    areas, forward = [], wordy_llm.model.forward

    def watched(*args, **inputs):
        out = forward(*args, **inputs)
        areas.append((inputs["input_ids"].shape[0], out.past_key_values.layers[0].keys.shape[2]))
        return out

    monkeypatch.setattr(wordy_llm.model, "forward", watched)
    answers = engine.answer_requests(requests)
    monkeypatch.undo()
    assert all(rows * tokens <= budget for rows, tokens in areas if rows > 1)
    assert max(rows for rows, _ in areas) <= 5
    for one, other in zip(answers, plainly(wordy_llm, requests, "allowed"), strict=True):
        same(one, other)


needs = st.lists(
    st.builds(AnswerNeed, st.integers(0, 300), st.integers(1, 300), st.none() | st.integers(0, 4)), max_size=30
)


@given(needs, st.integers(0, 200), st.integers(1, 4000))
def test_rounds_hold_each_answer_once_and_fit_the_budget(drawn, instruction, budget):
    sizes = {need.sharing: need.examples for need in drawn}
    drawn = [AnswerNeed(sizes[need.sharing] if need.sharing is not None else need.examples, need.own, need.sharing)
             for need in drawn]  # fmt: skip
    rounds = plan_rounds(instruction, drawn, budget)
    assert sorted(i for each in rounds for i in each.answers) == list(range(len(drawn)))
    for each in rounds:
        shared = sum(sizes[number] for number in each.shared_examples)
        assert instruction + shared + 2 * each.half <= max(budget, instruction)
        if len(each.answers) > 1:
            assert all(instruction + drawn[i].total <= each.half for i in each.answers)
    shown = [number for each in rounds for number in each.shared_examples]
    assert len(shown) == len(set(shown))  # computed once


def test_one_round_is_enough_where_the_shared_examples_fit():
    drawn = [AnswerNeed(100, 50, i // 8) for i in range(80)]
    assert len(plan_rounds(10, drawn, 65_536)) == 1
    assert len(plan_rounds(10, drawn, 2_010)) == 2
