import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.llm.index import build_sentence_index
from rayner.llm.retrieval import ExampleRetriever
from rayner.llm.sentence_encoders import NgramEncoder
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span


@pytest.fixture(scope="module")
def train(sentences):
    return sentences[:40]


@pytest.fixture(scope="module")
def similar(encoder, train):
    return ExampleRetriever("similar", 3, train, encoder, build_sentence_index(encoder, train, 8), batch_size=4)


def test_similar_examples_are_the_nearest_of_the_index(similar, encoder, train, sentences):
    asked = [e.text for e in [*train[:6], *sentences[50:54]]]
    found = similar.find_examples(asked)
    assert found == similar.index.nearest_sentences(encoder.embed(asked, 8), [(text,) for text in asked], 3)
    for text, shown in zip(asked, found, strict=True):
        assert len({e.text for e in shown} - {text}) == 3
    assert len({tuple(e.text for e in shown) for shown in found}) > 1  # not the same for all


def test_a_group_shares_the_examples_nearest_to_its_mean_and_is_shown_none_of_its_own(similar, encoder, train):
    group = tuple(e.text for e in train[:3])
    (found,) = similar.find_shared_examples([group])
    assert len({e.text for e in found} - {*group}) == 3
    vectors = encoder.embed([*group, *(e.text for e in train)], 8)
    near = vectors[3:] @ vectors[:3].mean(axis=0)
    order = [train[i].text for i in np.argsort(-near) if train[i].text not in group]
    assert [e.text for e in found] == list(dict.fromkeys(order))[:3]
    both = similar.find_shared_examples([group, (train[5].text,)])
    assert both == [found, similar.find_examples([train[5].text])[0]]


def test_no_texts_have_no_examples(similar, train):
    for retriever in (similar, ExampleRetriever("fixed", 3, train), ExampleRetriever("none", 3, train)):
        assert retriever.find_examples([]) == []


def test_none_shows_none(similar, encoder, train):
    texts = ["楚王", train[0].text]
    assert ExampleRetriever("none", 5, train).find_examples(texts) == [[], []]


def test_fixed_examples_are_the_same_for_every_text_but_never_the_text_itself(train):
    retriever = ExampleRetriever("fixed", 3, train)
    usual = retriever.find_examples(["楚王使怒去"])[0]
    assert len({e.text for e in usual}) == 3
    texts = [e.text for e in train]
    for text, shown in zip(texts, retriever.find_examples(texts), strict=True):
        assert text not in {e.text for e in shown}
        assert len(shown) == 3
        if text not in {e.text for e in usual}:
            assert shown == usual


def test_fixed_examples_show_as_many_types_as_they_can(train):
    shown = ExampleRetriever("fixed", 5, train).find_examples(["楚王使怒去"])[0]
    assert {s.type for e in shown for s in e.spans} == {s.type for e in train for s in e.spans}
    assert all(e.spans for e in shown)


sentence = st.builds(
    LabelledSentence,
    st.text("楚王", min_size=1, max_size=3),
    st.sampled_from([(), (Span(0, 1, "NR"),), (Span(0, 1, "NS"),)]),
)


@given(pool=st.lists(sentence, max_size=12), text=st.text("楚王", min_size=1, max_size=3), k=st.integers(0, 6))
def test_fixed_examples_are_k_distinct_sentences_where_there_are_as_many(pool, text, k):
    shown = [e.text for e in ExampleRetriever("fixed", k, pool).find_examples([text])[0]]
    assert len(shown) == len(set(shown)) == min(k, len({e.text for e in pool} - {text}))
    assert text not in shown


@pytest.mark.parametrize("method", ["similar", "fixed"])
def test_sentences_above_the_limit_are_no_examples_and_others_take_their_places(method):
    texts = ["楚王怒楚王怒楚王怒", "楚王怒楚王怒", "楚王", "懷王", "秦王", "楚王怒楚王怒楚王"]
    train = [LabelledSentence(text, (Span(0, 1, "NR"),) * (len(text) > 2)) for text in texts]
    index = build_sentence_index(NgramEncoder(), train, 8)
    for max_chars, n_left in ((9, 6), (8, 5), (6, 4), (5, 3), (1, 0)):
        retriever = ExampleRetriever(method, 3, train, NgramEncoder(), index, max_chars=max_chars)
        retriever = retriever if method == "similar" else ExampleRetriever(method, 3, train, max_chars=max_chars)
        (shown,) = retriever.find_examples(["楚王怒"])
        assert len(shown) == min(3, n_left)
        assert all(len(example.text) <= max_chars for example in shown)


@pytest.mark.parametrize("method", ["similar", "fixed"])
def test_a_text_is_no_example_of_itself_if_white_space_stands_at_its_ends(method):
    """As in tagging, which asks about a sentence without this white space."""
    train = [LabelledSentence(text, ()) for text in ("楚王\n", "\u3000楚王", "懷王\n", "懷王", "秦王")]
    index = build_sentence_index(NgramEncoder(), train, 8)
    retriever = ExampleRetriever("similar", 3, train, NgramEncoder(), index)
    retriever = retriever if method == "similar" else ExampleRetriever(method, 3, train)
    for asked in ("楚王", "楚王\n"):
        assert [e.text.strip() for e in retriever.find_examples([asked])[0]] in (["懷王", "秦王"], ["秦王", "懷王"])
