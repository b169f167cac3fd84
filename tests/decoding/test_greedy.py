import dataclasses
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.greedy import GreedyEngine
from rayner.decoding.long_texts import TextRequest, answer_texts
from rayner.llm import sft
from rayner.llm.retrieval import ExampleRetriever
from rayner.text import markup
from rayner.text.predictions import join_window_answers
from rayner.text.segmentation import split_windows
from rayner.text.spans import sort_and_check_spans
from rayner.text.tag_grammar import GrammarState, TokenRole
from tests.checkpoints import answer_greedily, load_llm
from tests.strategies import ODD, at_most, texts

PROBABILITIES = ["all", "allowed"]


@dataclasses.dataclass
class Plain:
    """An answer by the simplest decoder."""

    text: str
    spans: list
    decisions: np.ndarray
    category: list
    boundary: list
    passes: int


def plainly(llm, text, shown, probability):
    """Greedy decoding, a full forward pass for each token: no cache, no batch, no padding."""
    grammar, state = llm.build_grammar(text), GrammarState()
    prompt, tokens, probs, roles, category = llm.prompt_tokens(shown, text), [], [], [], []
    decisions = np.ones(len(text) + 1)
    while allowed := grammar.allowed_tokens(state):
        with torch.no_grad():
            logits = llm.model(input_ids=torch.tensor([prompt + tokens])).logits[0, -1].double()
        pool = logits if probability == "all" else logits[list(allowed)]
        token = max(allowed, key=lambda t: float(logits[t]))
        prob = float(logits[token].exp() / pool.exp().sum())
        if len(allowed) > 1:
            decisions[state.n_copied] *= prob
        if roles and roles[-1] is TokenRole.OPEN:
            category.append(1.0)
        if state.type_prefix is not None and len(allowed) > 1:
            category[-1] *= prob
        state, role = grammar.advance(state, token)
        tokens.append(token)
        probs.append(prob)
        roles.append(role)
    read = markup.parse_markup(llm.tokenizer.tokenizer.decode(tokens))
    places = {role: [k for k, found in enumerate(roles) if found is role] for role in TokenRole}
    around = [
        [probs[k] for at in pair for k in (at - 1, at) if k >= 0]
        for pair in zip(places[TokenRole.OPEN], places[TokenRole.CLOSE], strict=True)
    ]
    return Plain(read.text, list(read.spans), decisions, category, [np.mean(p) for p in around], len(tokens))


def given_text(llm, text, shown=(), probability="allowed"):
    return answer_greedily(llm, [text], [shown], softmax_over=probability, batch_size=1)[0]


def same(one, other, atol=1e-5):
    assert one.spans == other.spans
    np.testing.assert_allclose(one.slot_probs, other.slot_probs, atol=atol)
    for a, b in zip(one.entities, other.entities, strict=True):
        assert (a.category_prob, a.boundary_prob) == pytest.approx((b.category_prob, b.boundary_prob), abs=atol)


def odd_texts(n, seed=0):
    rng = random.Random(seed)
    return ["".join(rng.choices("楚懷王之曰大夫將軍漢人" + ODD, k=rng.randint(1, 14))) for _ in range(n)]


@at_most(15)
@given(batch=st.lists(texts(10), min_size=1, max_size=4))
def test_answers_are_legal_whatever_the_text_and_the_weights(random_llm, batch):
    found_all = answer_greedily(random_llm, batch, [[]] * len(batch), softmax_over="all", batch_size=3)
    for text, found in zip(batch, found_all, strict=True):
        assert sort_and_check_spans(found.spans, len(text)) == found.spans
        assert {span.type for span in found.spans} <= set(random_llm.types)
        assert found.slot_probs.shape == (len(text) + 1,)
        numbers = [*found.slot_probs, *(p for item in found.entities for p in (item.category_prob, item.boundary_prob))]
        assert all(0 <= p <= 1 for p in numbers)


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_answers_are_those_of_the_simplest_decoder(random_llm, sentences, probability):
    batch = [*odd_texts(6), sentences[0].text[:20], "楚", "\ue000"]
    shown = [sentences[1 : 1 + i % 3] for i in range(len(batch))]
    found = answer_greedily(random_llm, batch, shown, softmax_over=probability, batch_size=4)
    entities = 0
    for text, near, one in zip(batch, shown, found, strict=True):
        expected = plainly(random_llm, text, near, probability)
        assert expected.text == text
        assert list(one.spans) == expected.spans
        np.testing.assert_allclose(one.slot_probs, expected.decisions, atol=1e-5)
        assert [item.category_prob for item in one.entities] == pytest.approx(expected.category, abs=1e-5)
        assert [item.boundary_prob for item in one.entities] == pytest.approx(expected.boundary, abs=1e-5)
        assert one.passes == expected.passes
        entities += len(one.entities)
    assert entities > 5  # else little was compared


def test_neither_the_size_of_a_batch_nor_its_order_changes_an_answer(random_llm, sentences):
    batch = [*odd_texts(8, seed=1), "", "王", sentences[2].text[:25]]
    shown = [sentences[: i % 4] for i in range(len(batch))]
    alone = answer_greedily(random_llm, batch, shown, softmax_over="allowed", batch_size=1)
    together = answer_greedily(random_llm, batch, shown, softmax_over="allowed", batch_size=7)
    backwards = answer_greedily(random_llm, batch[::-1], shown[::-1], softmax_over="allowed", batch_size=4)[::-1]
    for one, other, third in zip(alone, together, backwards, strict=True):
        same(one, other)
        same(one, third)
        assert one.passes == other.passes == third.passes


def test_a_complete_answer_leaves_its_batch(random_llm, monkeypatch):
    batch, sizes, forward = [*odd_texts(6, seed=4), "", "王"], [], random_llm.model.forward

    def watched(*args, **inputs):
        sizes.append(inputs["input_ids"].shape[0])
        return forward(*args, **inputs)

    monkeypatch.setattr(random_llm.model, "forward", watched)
    found = answer_greedily(random_llm, batch, [[]] * len(batch), softmax_over="allowed", batch_size=8)
    passes = [answer.passes for answer in found]
    assert sizes == [sum(n > k for n in passes) for k in range(max(passes))]
    assert len(set(sizes)) > 3


def test_the_unmasked_probability_never_exceeds_the_one_among_allowed_tokens(random_llm):
    batch = odd_texts(6, seed=2)
    masked, unmasked = (
        answer_greedily(random_llm, batch, [[]] * 6, softmax_over=probability, batch_size=6)
        for probability in ("allowed", "all")
    )
    smaller = 0
    for one, other in zip(masked, unmasked, strict=True):
        assert one.spans == other.spans
        assert (other.slot_probs <= one.slot_probs + 1e-6).all()
        smaller += int((other.slot_probs < one.slot_probs - 1e-3).sum())
        for a, b in zip(one.entities, other.entities, strict=True):
            assert b.category_prob <= a.category_prob + 1e-6
            assert b.boundary_prob <= a.boundary_prob + 1e-6
    assert smaller > 5


def test_examples_change_the_answer(random_llm, sentences):
    batch = odd_texts(6, seed=3)
    bare = answer_greedily(random_llm, batch, [[]] * 6, softmax_over="allowed", batch_size=6)
    shown = answer_greedily(random_llm, batch, [sentences[:2]] * 6, softmax_over="allowed", batch_size=6)
    assert any(not np.allclose(a.slot_probs, b.slot_probs, atol=1e-3) for a, b in zip(bare, shown, strict=True))


def test_no_texts_have_no_answers_and_no_text_has_no_entity(random_llm):
    assert answer_greedily(random_llm, [], [], softmax_over="allowed", batch_size=4) == []
    empty = given_text(random_llm, "")
    assert (empty.entities, empty.slot_probs.tolist(), empty.passes) == ((), [1.0], 0)


@pytest.mark.parametrize("char", ["楚", "\ue000", "<", "&", "\n", "\x00", "𠀀"])
def test_texts_of_one_character_are_answered_without_task_or_examples(decoder_folder, types, char):
    llm = load_llm(decoder_folder, types, instruction="")
    found = given_text(llm, char)
    assert len(found.slot_probs) == 2
    assert sort_and_check_spans(found.spans, 1) == found.spans


def test_a_single_type_needs_no_choice(decoder_folder):
    llm = load_llm(decoder_folder, ["NR"])
    with torch.no_grad():
        llm.model.get_input_embeddings().weight.mul_(3)
    found = answer_greedily(llm, odd_texts(8), [[]] * 8, softmax_over="allowed", batch_size=8)
    categories = [item.category_prob for one in found for item in one.entities]
    assert categories
    assert set(categories) == {1.0}


def test_a_long_text_is_answered_in_windows(random_llm, sentences):
    long, short = "楚懷王之曰大夫將軍漢人" * 4, "漢王"
    retriever = ExampleRetriever("fixed", 1, sentences)
    settings = {"softmax_over": "allowed", "batch_size": 5}
    engine, requests = GreedyEngine(random_llm, **settings), [TextRequest(text) for text in (short, long, "")]
    found = answer_texts(engine, requests, retriever=retriever, max_chars=12, overlap=4)
    cut = split_windows(len(long), 12, 4)
    assert len(cut) > 3
    parts = [long[w.start : w.end] for w in cut]
    expected = join_window_answers(answer_greedily(random_llm, parts, retriever.find_examples(parts), **settings), cut)
    same(found[1], expected)
    assert len(found[1].slot_probs) == len(long) + 1
    assert sort_and_check_spans(found[1].spans, len(long)) == found[1].spans
    same(found[0], answer_greedily(random_llm, [short], retriever.find_examples([short]), **settings)[0])
    assert found[2].entities == ()


@pytest.mark.slow
def test_a_model_that_learned_a_few_sentences_puts_their_entities(fresh_llm, sentences):
    chosen = sorted(sentences, key=lambda e: len(e.text))[20:26]
    items = [sft.build_sft_example(fresh_llm, [], right) for right in chosen]
    sft_loss = sft.SftLoss(fresh_llm, "allowed")
    optimizer = torch.optim.AdamW(fresh_llm.model.parameters(), lr=5e-3)
    before = answer_greedily(fresh_llm, [e.text for e in chosen], [[]] * 6, softmax_over="allowed", batch_size=6)
    assert [one.spans for one in before] != [e.spans for e in chosen]
    for _ in range(120):
        loss = sft_loss(items)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = answer_greedily(fresh_llm, [e.text for e in chosen], [[]] * 6, softmax_over="allowed", batch_size=6)
    assert [one.spans for one in after] == [e.spans for e in chosen]
    assert all(one.slot_probs.min() > 0.5 for one in after)
