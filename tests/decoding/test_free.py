"""Free answers are those of the simplest decoder, and an exact copy is read as under the tag grammar."""

import logging

import numpy as np
import pytest
import torch

from rayner.config.loading import load_config
from rayner.decoding.engine import WindowRequest, make_engine
from rayner.decoding.free import FreeEngine
from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.long_texts import TextRequest, answer_texts
from rayner.errors import ConfigError
from rayner.llm import sft
from rayner.llm.retrieval import ExampleRetriever
from rayner.runs.progress import log
from rayner.text.free_answer import GeneratedAnswer, read_free_answer
from tests.decoding.test_greedy import odd_texts, same


def generate_plainly(llm, request, max_tokens):
    """Greedy decoding, a full forward pass for each token: no cache, no batch, no padding."""
    prompt, tokens, probs = llm.prompt_tokens(request.examples, request.text, request.hint), [], []
    while True:
        with torch.no_grad():
            logits = llm.model(input_ids=torch.tensor([prompt + tokens])).logits[0, -1].double()
        token = int(logits.argmax())
        prob = float(logits.softmax(0)[token])
        if token == llm.tokenizer.tokenizer.eos_token_id:
            return tokens, probs, prob
        if len(tokens) == max_tokens:
            return tokens, probs, None
        tokens.append(token)
        probs.append(prob)


def read_plainly(llm, request, max_tokens):
    tokens, probs, end_prob = generate_plainly(llm, request, max_tokens)
    markup, starts = llm.tokenizer.decode_with_token_starts(tokens)
    assert markup == llm.tokenizer.tokenizer.decode(tokens)
    return read_free_answer(request.text, GeneratedAnswer(markup, starts, probs, end_prob), llm.types)


def longest(engine, text):
    return engine._max_answer_tokens(text)


@pytest.fixture(scope="module")
def requests(sentences):
    made = [*odd_texts(5), sentences[0].text[:15], "楚", ""]
    return [WindowRequest(text, sentences[1 : 1 + i % 3], [], np.ones(len(text) + 1, bool))
            for i, text in enumerate(made)]  # fmt: skip


def test_answers_are_those_of_the_simplest_decoder_for_any_batch_and_whatever_the_stop_mask(random_llm, requests):
    engine = FreeEngine(random_llm, batch_size=3)
    expected = [read_plainly(random_llm, request, longest(engine, request.text)) for request in requests]
    for batch_size, batch_tokens in ((3, 2**40), (8, 1)):
        engine = FreeEngine(random_llm, batch_size=batch_size, batch_tokens=batch_tokens)
        for one, other in zip(engine.answer_requests(requests), expected, strict=True):
            same(one, other)
            assert (one.faults, one.passes) == (other.faults, other.passes)
    assert sum(answer.faults.changed for answer in expected) > 3  # a model that learned nothing copies nothing
    assert all(answer.faults.cut_off for answer in expected)
    assert [answer.passes for answer in expected] == [longest(engine, request.text) for request in requests]


def test_an_answer_ends_at_any_end_token_of_the_checkpoint(random_llm, requests, monkeypatch):
    written = [generate_plainly(random_llm, request, 30) for request in requests]
    i, n = next((i, n) for i, (tokens, *_) in enumerate(written) for n in range(1, 30) if tokens[n] not in tokens[:n])
    request, (tokens, probs, _) = requests[i], written[i]
    monkeypatch.setattr(random_llm.model.generation_config, "eos_token_id", [tokens[n], 5_000_000])
    (answer,) = FreeEngine(random_llm, batch_size=1).answer_requests([request])
    markup, starts = random_llm.tokenizer.decode_with_token_starts(tokens[:n])
    generated = GeneratedAnswer(markup, starts, probs[:n], probs[n])
    same(answer, read_free_answer(request.text, generated, random_llm.types))
    assert answer.faults.cut_off == 0


def test_windows_of_a_long_text_add_up(random_llm, sentences):
    long = "楚懷王之曰大夫將軍漢人" * 3
    engine, retriever = FreeEngine(random_llm, batch_size=5), ExampleRetriever("none", 0, sentences)
    (answer,) = answer_texts(engine, [TextRequest(long)], retriever=retriever, max_chars=12, overlap=4)
    assert answer.faults.answers == answer.faults.cut_off > 2
    assert len(answer.slot_probs) == len(long) + 1
    assert ((answer.slot_probs >= 0) & (answer.slot_probs <= 1)).all()


def test_no_texts_have_no_answers(random_llm):
    assert FreeEngine(random_llm, batch_size=4).answer_requests([]) == []


def test_smaller_batches_and_texts_that_exceed_the_budget_are_as_with_the_other_engines(
    random_llm, requests, caplog, monkeypatch
):
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(log, "propagate", False)
    engine = FreeEngine(random_llm, batch_size=12, batch_tokens=1001)
    smaller = engine.with_smaller_batches(4)
    assert (smaller.batch_size, smaller.batch_tokens, engine.batch_tokens) == (3, 250, 1001)
    with caplog.at_level(logging.WARNING, logger="rayner"):
        FreeEngine(random_llm, batch_size=4, batch_tokens=2).answer_requests(requests[:1])
    assert caplog.messages[0].startswith("score.llm.batch_tokens: 1 of 1 texts need more than the 2 tokens")


def test_the_setting_chooses_the_engine(random_llm):
    settings = {"use_drafts": True, "softmax_over": "all", "batch_size": 2, "batch_tokens": 100}
    assert isinstance(make_engine(random_llm, decoding="free", **settings), FreeEngine)
    settings["use_drafts"] = False
    assert isinstance(make_engine(random_llm, decoding="automaton", **settings), GreedyEngine)


FREE = ["llm.decoding=free", "llm.softmax_over=all", "llm.loss_over=all"]


def test_free_answers_are_refused_with_settings_that_make_no_sense():
    load_config(None, FREE)
    load_config(None, [*FREE, "llm.loss_over=allowed", "llm.model=a/decoder", "llm.epochs=0"])  # nothing is trained
    for override, message in (
        (
            "llm.softmax_over=allowed",
            r"^command line: llm.softmax_over: expected all with llm.decoding=free, .* found allowed$",
        ),
        (
            "llm.loss_over=allowed",
            r"^command line: llm.loss_over: expected all with llm.decoding=free, .* found allowed$",
        ),
        ("llm.engine=vllm", r"^command line: llm.engine: expected transformers with llm.decoding=free, .* found vllm$"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(None, [*FREE, override])
        load_config(None, [override])


@pytest.mark.slow
def test_a_model_that_copies_exactly_has_the_entities_and_confidences_of_the_automaton(fresh_llm, sentences):
    chosen = sorted(sentences, key=lambda e: len(e.text))[20:26]
    items = [sft.build_sft_example(fresh_llm, [], right) for right in chosen]
    sft_loss = sft.SftLoss(fresh_llm, "all")
    optimizer = torch.optim.AdamW(fresh_llm.model.parameters(), lr=5e-3)
    for _ in range(150):
        loss = sft_loss(items)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    asked = [WindowRequest(e.text) for e in chosen]
    free = FreeEngine(fresh_llm, batch_size=4).answer_requests(asked)
    bound = GreedyEngine(fresh_llm, softmax_over="all", batch_size=4).answer_requests(asked)
    assert [answer.spans for answer in free] == [answer.spans for answer in bound] == [e.spans for e in chosen]
    for one, other in zip(free, bound, strict=True):
        assert (one.faults.changed, one.faults.cut_off) == (0, 0)
        # The grammar is certain where it allows one token; there the model itself may hesitate, so it is never surer.
        assert (one.slot_probs <= other.slot_probs + 1e-5).all()
        for a, b in zip(one.entities, other.entities, strict=True):
            assert (a.category_prob, a.boundary_prob) == pytest.approx((b.category_prob, b.boundary_prob), abs=1e-5)
