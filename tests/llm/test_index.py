import faiss
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import ConfigError, DamagedFileError, NotFiniteError
from rayner.llm.index import (
    SentenceIndex,
    build_sentence_index,
    check_and_count_self_nearest,
    load_sentence_index,
    save_sentence_index,
)
from rayner.llm.sentence_encoders import NgramEncoder, load_sentence_encoder
from rayner.taggers import encoder
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span
from tests.checkpoints import CPU, truncated
from tests.strategies import at_most, texts

DIM = 8


def vector_of(text):
    """A made-up embedding, the same for the same text."""
    drawn = np.random.default_rng([ord(char) for char in text] or [0]).normal(size=DIM)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def index_of(stored):
    vectors = faiss.IndexFlatIP(DIM)
    vectors.add(np.array([vector_of(text) for text in stored]))
    return SentenceIndex(vectors, [LabelledSentence(text, ()) for text in stored])


def best(stored, text, k):
    """The k most similar other sentences, by brute force."""
    others = {other: float(vector_of(other) @ vector_of(text)) for other in stored if other != text}
    return sorted(others, key=lambda other: -others[other])[:k]


short = st.text("楚王", min_size=1, max_size=4)


@at_most(100)
@given(stored=st.lists(short, min_size=1, max_size=60), asked=st.lists(short, max_size=4), k=st.integers(0, 12))
def test_nearest_are_the_most_similar_other_sentences_each_once(stored, asked, k):
    queries = np.array([vector_of(text) for text in asked], dtype=np.float32).reshape(-1, DIM)
    found = index_of(stored).nearest_sentences(queries, alone(asked), k)
    assert [[e.text for e in row] for row in found] == [best(stored, text, k) for text in asked]


def alone(texts):
    """Each text as a group of its own."""
    return [(text,) for text in texts]


@pytest.mark.parametrize("copies", [1, 10, 300])
def test_however_many_duplicates_stand_in_the_way_all_k_are_found(copies):
    others = [f"楚{i}" for i in range(20)]
    stored = ["王"] * copies + others + [best(others, "王", 1)[0]] * copies
    found = index_of(stored).nearest_sentences(vector_of("王")[None], [("王",)], 5)[0]
    assert [e.text for e in found] == best(others, "王", 5)


def test_the_same_example_stored_twice_is_found_once():
    twice = LabelledSentence("楚", ())
    index = SentenceIndex(index_of(["楚", "楚", "王"]).vectors, [twice, twice, LabelledSentence("王", ())])
    found = index.nearest_sentences(vector_of("楚王")[None], [("楚王",)], 3)[0]
    assert sorted(e.text for e in found) == ["楚", "王"]


def test_an_index_smaller_than_k_gives_all_it_has():
    index = index_of(["楚", "王", "楚"])
    found = index.nearest_sentences(np.array([vector_of("楚"), vector_of("懷")]), [("楚",), ("懷",)], 9)
    assert [sorted(e.text for e in row) for row in found] == [["王"], ["楚", "王"]]


def test_a_sentence_that_is_all_there_is_has_no_example():
    assert index_of(["楚", "楚"]).nearest_sentences(vector_of("楚")[None], [("楚",)], 2) == [[]]


# ---- the encoder


@at_most(15)
@given(batch=st.lists(texts(30), min_size=1, max_size=6))
def test_an_embedding_depends_on_its_text_alone(encoder, batch):
    together = encoder.embed(batch, 4)
    alone = np.concatenate([encoder.embed([text], 1) for text in batch])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(batch[::-1], 2)[::-1], alone, atol=1e-5)
    lengths = np.linalg.norm(together, axis=1)
    np.testing.assert_allclose(lengths, [float(bool(text)) for text in batch], atol=1e-5)


def test_different_texts_have_different_embeddings(encoder, sentences):
    vectors = encoder.embed([e.text for e in sentences[:20]], 8)
    assert vectors.dtype == np.float32
    assert (vectors @ vectors.T - np.eye(20)).max() < 0.999


def test_an_embedding_is_the_mean_over_the_characters_at_length_one(encoder):
    tokenizer = encoder.tokenizer.tokenizer
    ids = [tokenizer.convert_tokens_to_ids(token) for token in ["[CLS]", "之", "也", "[UNK]", "[SEP]"]]
    with torch.no_grad():
        mean = encoder.model(torch.tensor([ids])).last_hidden_state[0, 1:4].mean(0).numpy()
    np.testing.assert_allclose(encoder.embed(["之也\ue000"], 4)[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_text_longer_than_the_encoder_takes_is_embedded_by_its_beginning(encoder):
    limit = encoder.model.config.max_position_embeddings - 2
    text = "之也曰王" * limit
    np.testing.assert_allclose(encoder.embed([text], 4), encoder.embed([text[:limit]], 4), atol=1e-5)


def test_no_texts_have_no_embeddings(encoder):
    assert encoder.embed([], 4).shape == (0, 32)


@pytest.mark.parametrize("wrong", [None, "shown to itself", "left out"])
def test_the_check_of_an_index_excludes_whole_texts_and_finds_faults(wrong, monkeypatch):
    class MadeUp:
        dimensions = DIM

        def embed(self, texts, batch_size):
            return np.array([vector_of(text) for text in texts])

    index = index_of(["楚王", "楚", "王", "楚王怒", "楚王"])  # some are parts of others, which are no duplicates
    right = index.nearest_sentences

    def exclude_nothing(queries, excluded_texts, k):
        return right(queries, [()] * len(excluded_texts), k)

    def leave_out(queries, excluded_texts, k):
        return [sentences[:1] for sentences in right(queries, excluded_texts, k)]

    texts = ["楚王", "楚", "王", "楚王怒"]
    if wrong is None:
        assert check_and_count_self_nearest(index, MadeUp(), texts, 3, 4) == 4
        return
    fault, message = {
        "shown to itself": (exclude_nothing, "as its own neighbour"),
        "left out": (leave_out, "gave 1 neighbours"),
    }[wrong]
    monkeypatch.setattr(index, "nearest_sentences", fault)
    with pytest.raises(RuntimeError, match=message):
        check_and_count_self_nearest(index, MadeUp(), texts, 3, 4)


def test_an_encoder_is_loaded_from_a_trained_tagger_too(tagger, tmp_path):
    encoder.save_encoder_tagger(tagger, tmp_path)
    sentence_encoder = load_sentence_encoder(tmp_path, CPU)
    text = "之也曰"
    tokens = [token for char in tagger.tokenizer.encode_chars(text) for token in char]
    tokenizer = tagger.tokenizer.tokenizer
    with torch.no_grad():
        ids = torch.tensor([[tokenizer.cls_token_id, *tokens, tokenizer.sep_token_id]])
        hidden = tagger.model(ids, output_hidden_states=True).hidden_states[-1]
    mean = hidden[0, 1:-1].mean(0).numpy()
    np.testing.assert_allclose(sentence_encoder.embed([text], 1)[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_folder_without_a_checkpoint_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="expected a checkpoint of an encoder"):
        load_sentence_encoder(tmp_path, CPU)


def test_truncated_weights_are_a_config_error(encoder_folder, tmp_path):
    with pytest.raises(ConfigError, match="expected a checkpoint of an encoder"):
        load_sentence_encoder(truncated(encoder_folder, tmp_path / "half"), CPU)


@given(batch=st.lists(texts(40), max_size=6))
def test_counts_of_characters_and_pairs_are_vectors_of_length_one(batch):
    ngrams = NgramEncoder(64)
    vectors = ngrams.embed(batch, 2)
    assert vectors.shape == (len(batch), ngrams.dimensions)
    for vector, text in zip(vectors, batch, strict=True):
        np.testing.assert_array_equal(vector, ngrams.embed([text], 1)[0])  # it depends on its text alone
    lengths = np.linalg.norm(vectors, axis=1)
    assert all(abs(length - 1) < 1e-5 or length == 0 for length in lengths)  # 0: empty, or all collided


def test_texts_that_share_more_are_nearer_by_counts():
    near, same, far = NgramEncoder().embed(["楚懷王怒去", "楚懷王怒，去", "白露為霜"], 1)
    assert near @ same > 0.7 > 0.3 > abs(near @ far)


# ---- building and keeping


def test_an_index_of_nothing_is_a_config_error(encoder):
    with pytest.raises(ConfigError, match="at least one"):
        build_sentence_index(encoder, [], 4)


def test_every_training_sentence_is_nearest_to_itself_and_never_shown_to_itself(encoder, sentences):
    stored = sentences[:40]
    index = build_sentence_index(encoder, stored, 8)
    asked = [e.text for e in stored]
    queries = encoder.embed(asked, 8)
    _, ids = index.vectors.search(queries, 1)
    assert ids[:, 0].tolist() == list(range(40))
    for text, near, row in zip(
        asked, index.nearest_sentences(queries, alone(asked), 5), queries @ queries.T, strict=True
    ):
        assert len(near) == len({e.text for e in near}) == 5
        assert text not in {e.text for e in near}
        found = [row[asked.index(e.text)] for e in near]
        expected = sorted((s for other, s in zip(asked, row, strict=True) if other != text), reverse=True)[:5]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert all(e in stored for e in near)  # with its own entities


@pytest.fixture
def kept(encoder, tmp_path):
    odd = LabelledSentence("楚\ue000𠀀\u2028\n王\r\n", (Span(0, 2, "NR"), Span(3, 4, "NS")))
    index = build_sentence_index(
        encoder, [odd, LabelledSentence("怒去", ()), LabelledSentence("怒去", (Span(0, 1, "NR"),))], 2
    )
    save_sentence_index(index, tmp_path / "new" / "index")
    return index, tmp_path / "new" / "index"


def test_a_saved_index_is_read_back_unchanged(kept):
    index, folder = kept
    again = load_sentence_index(folder)
    assert again.sentences == index.sentences
    assert again.vectors.ntotal == index.vectors.ntotal == 3
    for i in range(3):
        np.testing.assert_array_equal(again.vectors.reconstruct(i), index.vectors.reconstruct(i))
    assert {path.name for path in folder.iterdir()} == {"vectors.faiss", "examples.jsonl"}


def test_files_that_do_not_fit_each_other_are_a_config_error(kept):
    path = kept[1] / "examples.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(ConfigError, match="3 vectors but 2 sentences"):
        load_sentence_index(kept[1])


@pytest.mark.parametrize("name", ["vectors.faiss", "examples.jsonl"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe nonsense"])
def test_a_missing_or_broken_file_is_one_clear_error(kept, name, content):
    path = kept[1] / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        (ConfigError, DamagedFileError), match=r"expected an index|vectors but|file is damaged"
    ) as caught:
        load_sentence_index(kept[1])
    assert "\n" not in str(caught.value)


# ---- numbers that are not finite


class SpoiledEncoder(NgramEncoder):
    """An encoder that gives NaN for texts with 王."""

    def embed(self, texts, batch_size):
        vectors = super().embed(texts, batch_size)
        vectors[["王" in text for text in texts], -1] = np.nan
        return vectors


def test_no_index_is_built_of_vectors_that_are_not_finite():
    examples = [LabelledSentence(text, ()) for text in ("楚", "王", "懷王")]
    with pytest.raises(NotFiniteError, match=r"^index\.encoder: .*found NaN or infinity for 2 of 3 training sentences"):
        build_sentence_index(SpoiledEncoder(), examples, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_index_with_a_vector_that_is_not_finite_is_refused_naming_the_file(tmp_path, value):
    index = build_sentence_index(NgramEncoder(), [LabelledSentence(str(i), ()) for i in range(50)], 8)
    vectors = index.vectors.reconstruct_n(0, 50)
    vectors[49, 511] = value
    spoiled = faiss.IndexFlatIP(512)
    spoiled.add(vectors)
    save_sentence_index(SentenceIndex(spoiled, index.sentences), tmp_path)
    path = tmp_path / "vectors.faiss"
    with pytest.raises(NotFiniteError, match=f"^{path}: expected finite vectors, found NaN or infinity"):
        load_sentence_index(tmp_path)


def test_a_query_that_is_not_finite_is_refused():
    """FAISS answers it with no sentence, which is stored as number -1: the last one."""
    queries = np.array([vector_of("楚"), vector_of("王")])
    queries[1, 3] = np.nan
    with pytest.raises(NotFiniteError, match="expected finite sentence vectors"):
        index_of(["楚", "王"]).nearest_sentences(queries, [("楚",), ("王",)], 1)
