import dataclasses
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.model_settings import SlmConfig
from rayner.errors import ConfigError
from rayner.llm.sentence_encoders import load_sentence_encoder
from rayner.taggers import encoder
from rayner.taggers.encoder_training import compute_loss, encode_training_windows, make_optimizer, train_epoch
from rayner.taggers.tagger import measure_f1
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tags import spans_to_tags, tags_to_spans
from tests.checkpoints import CPU, fresh_tagger, truncated
from tests.strategies import ODD, at_most, texts

CONFIG = SlmConfig(epochs=2, batch_size=8, lr=3e-3)


def drawn_text(n_chars, seed=0):
    """A text of common, rare and unheard-of characters."""
    return "".join(random.Random(seed).choices("楚懷王之也曰大夫將軍漢人為" + ODD, k=n_chars))


def predict(tagger, texts, batch_size=8, size=40, overlap=10):
    config = SlmConfig(max_chars=size, overlap=overlap)
    return dataclasses.replace(tagger, config=config, batch_size=batch_size).predict(texts)


def proper(answer, text, labels):
    """Whether it is an answer on the text: legal spans, and for each character an entropy that can be."""
    assert answer.entropy.shape == (len(text),)
    assert answer.entropy.dtype == np.float32
    assert (answer.entropy >= 0).all()
    assert (answer.entropy <= math.log(len(labels)) + 1e-5).all()
    assert sort_and_check_spans(answer.spans, len(text)) == answer.spans
    assert {span.type for span in answer.spans} <= {label[2:] for label in labels}
    return True


@pytest.fixture(params=["tagger", "splitting_tagger"])
def any_tagger(request):
    return request.getfixturevalue(request.param)


@at_most(20)
@given(batch=st.lists(texts(60), max_size=5))
def test_every_text_gets_legal_spans_and_an_entropy_a_character(tagger, splitting_tagger, batch):
    for either in (tagger, splitting_tagger):
        answers = predict(either, batch, size=16, overlap=5)
        assert len(answers) == len(batch)
        assert all(proper(answer, text, either.labels) for answer, text in zip(answers, batch, strict=True))


@pytest.mark.parametrize("n_chars", [1, 2, 39, 40, 41, 100, 700])
def test_texts_of_any_length_are_scored_whole(any_tagger, n_chars):
    text = drawn_text(n_chars, seed=n_chars)
    assert proper(predict(any_tagger, [text])[0], text, any_tagger.labels)


def test_random_heads_are_sure_and_in_doubt(any_tagger):
    # Else the comparisons below compared nothing.
    answer = predict(any_tagger, [drawn_text(300)])[0]
    assert answer.entropy.min() < 0.3
    assert answer.entropy.max() > 1
    assert len(answer.spans) > 10


def test_neither_the_size_of_a_batch_nor_its_order_changes_a_score(any_tagger):
    batch = [drawn_text(n, seed=n) for n in (1, 30, 7, 90, 2, 33, 150, 41, 3, 64, 16)]
    alone, together = predict(any_tagger, batch, 1), predict(any_tagger, batch, 32)
    backwards = predict(any_tagger, batch[::-1], 4)[::-1]
    for answers in (together, backwards):
        for expected, found in zip(alone, answers, strict=True):
            assert found.spans == expected.spans
            np.testing.assert_allclose(found.entropy, expected.entropy, atol=1e-4)


def test_no_text_and_no_texts_have_no_scores(tagger):
    assert predict(tagger, []) == []
    empty, full, last = predict(tagger, ["", "楚王", ""])
    assert (empty.spans, len(empty.entropy)) == (last.spans, len(last.entropy)) == ((), 0)
    assert len(full.entropy) == 2


def distributions(tagger, text):
    """Label distributions of a text whose characters are one token each, straight from the model."""
    tokenizer = tagger.tokenizer.tokenizer
    known = [tokenizer.convert_tokens_to_ids(char) for char in text]
    ids = [tokenizer.cls_token_id, *known, tokenizer.sep_token_id]
    with torch.no_grad():
        logits = tagger.model(torch.tensor([ids])).logits[0, 1:-1]
    return logits.double().softmax(-1).numpy()


@at_most(20)
@given(text=st.text("楚懷王之也曰大夫將軍漢人為\ue000𠀀", min_size=1, max_size=40))
def test_entropy_and_tags_are_those_of_the_models_distributions(tagger, text):
    probs = distributions(tagger, text)
    answer = predict(tagger, [text])[0]
    np.testing.assert_allclose(answer.entropy, -(probs * np.log(probs)).sum(1), atol=1e-4)
    likeliest = tags_to_spans([tagger.labels[i] for i in probs.argmax(1)])
    if not likeliest.n_faults:
        assert answer.spans == likeliest.spans

    # Spans and their absence are worth at least as much as any other legal reading: try all single changes.
    def worth(spans):
        return sum(
            math.log(probs[i, tagger.labels.index(tag)]) for i, tag in enumerate(spans_to_tags(spans, len(text)))
        )

    others = [answer.spans[:i] + answer.spans[i + 1 :] for i in range(len(answer.spans))]
    assert all(worth(answer.spans) >= worth(spans) - 1e-4 for spans in [*others, likeliest.spans])


def test_a_long_text_has_the_entropies_of_its_windows(any_tagger):
    text = drawn_text(130)
    whole = predict(any_tagger, [text], size=12, overlap=4)[0]
    parts = encoder.split_into_model_windows(any_tagger, text, 12, 4)
    assert len(parts) > 10
    for window in parts:
        alone = predict(any_tagger, [text[window.start : window.end]], size=12, overlap=4)[0]
        kept = whole.entropy[window.keep_start : window.keep_end]
        np.testing.assert_allclose(kept, alone.entropy[window.kept_slice], atol=1e-4)


@at_most(60)
@given(text=texts(120), size=st.integers(1, 80), share=st.floats(0, 0.99))
def test_windows_fit_the_model_and_lose_no_character(splitting_tagger, text, size, share):
    parts = encoder.split_into_model_windows(splitting_tagger, text, size, int(size * share))
    for window in parts:
        assert window.end - window.start <= size
        encoded = encoder.encode_window(splitting_tagger, text[window.start : window.end])
        assert len(encoded.tokens) <= splitting_tagger.max_tokens
    assert "".join(text[w.keep_start : w.keep_end] for w in parts) == text


def test_windows_of_cheap_characters_are_as_wide_as_asked_for(splitting_tagger):
    assert [w.end - w.start for w in encoder.split_into_model_windows(splitting_tagger, "楚" * 62, 62, 20)] == [62]
    assert len(encoder.split_into_model_windows(splitting_tagger, "𠀀" * 62, 62, 20)) > 1


def test_training_labels_are_expanded_as_in_table_1(splitting_tagger):
    # 楚懷王 are known; 使 takes three bytes, 𠀀 four, é two.
    text = "楚使𠀀懷使使王é使"
    spans = (Span(0, 1, "NR"), Span(1, 4, "NS"), Span(4, 5, "NR"), Span(7, 9, "NO"))
    expected = [
        "S-NR",
        *("B-NS", "M-NS", "M-NS"),  # B of three tokens
        *("M-NS", "M-NS", "M-NS", "M-NS"),  # M of four
        "E-NS",
        *("B-NR", "M-NR", "E-NR"),  # S of three
        *("O", "O", "O"),
        "O",
        *("B-NO", "M-NO"),  # B of two
        *("M-NO", "M-NO", "E-NO"),  # E of three
    ]
    (item,) = encode_training_windows(splitting_tagger, [LabelledSentence(text, spans)], 40, 10)
    assert item.token_labels[0] == item.token_labels[-1] == encoder.IGNORED_LABEL
    assert [splitting_tagger.labels[i] for i in item.token_labels[1:-1]] == expected
    assert item.tokens_per_char == [1, 3, 4, 1, 3, 3, 1, 2, 3]
    tokenizer = splitting_tagger.tokenizer.tokenizer
    assert tokenizer.decode(item.tokens[1:-1]) == text
    assert [item.tokens[0], item.tokens[-1]] == [tokenizer.cls_token_id, tokenizer.sep_token_id]


def test_a_long_training_sentence_becomes_windows_that_cover_it(tagger, sentences):
    example = max(sentences, key=lambda e: len(e.text))
    tags = spans_to_tags(example.spans, len(example.text))
    parts = encoder.split_into_model_windows(tagger, example.text, 10, 3)
    items = encode_training_windows(tagger, [example], 10, 3)
    assert len(items) == len(parts) > 1
    for window, item in zip(parts, items, strict=True):
        assert [tagger.labels[i] for i in item.token_labels[1:-1]] == tags[window.start : window.end]


def test_loss_is_the_mean_over_all_characters_of_a_batch(tagger, sentences):
    chosen = [e for e in sentences if set(e.text) <= set(tagger.tokenizer.tokenizer.get_vocab())][:4]
    assert len({len(e.text) for e in chosen}) > 1
    losses = []
    for e in chosen:
        probs = distributions(tagger, e.text)
        losses += [
            -math.log(probs[i, tagger.labels.index(tag)]) for i, tag in enumerate(spans_to_tags(e.spans, len(e.text)))
        ]
    with torch.no_grad():
        found = compute_loss(tagger, encode_training_windows(tagger, chosen, 200, 50))
    assert float(found) == pytest.approx(np.mean(losses), abs=1e-4)


def test_what_is_saved_scores_as_before(any_tagger, tmp_path):
    encoder.save_encoder_tagger(any_tagger, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in {".json", ".safetensors", ".txt"}]
    again = encoder.load_encoder_tagger(tmp_path, CPU)
    assert again.labels == any_tagger.labels
    batch = [drawn_text(n) for n in (5, 60)]
    for expected, found in zip(predict(any_tagger, batch), predict(again, batch), strict=True):
        assert found.spans == expected.spans
        np.testing.assert_array_equal(found.entropy, expected.entropy)


def test_a_trained_tagger_may_get_a_fresh_head_for_other_labels(tagger, tmp_path):
    encoder.save_encoder_tagger(tagger, tmp_path)
    again = encoder.load_encoder_tagger(tmp_path, CPU, ["O", "B-ZD", "M-ZD", "E-ZD", "S-ZD"])
    assert again.labels == ("O", "B-ZD", "M-ZD", "E-ZD", "S-ZD")
    assert proper(predict(again, ["楚王"])[0], "楚王", again.labels)


@pytest.mark.parametrize("name", ["", "no/such/folder/anywhere"])
def test_a_folder_without_a_checkpoint_is_a_config_error(tmp_path, labels, name):
    with pytest.raises(ConfigError, match="expected a checkpoint of an encoder"):
        encoder.load_encoder_tagger(tmp_path / name, CPU, labels)


def test_truncated_weights_are_a_config_error(encoder_folder, labels, tmp_path):
    with pytest.raises(ConfigError, match="expected a checkpoint of an encoder"):
        encoder.load_encoder_tagger(truncated(encoder_folder, tmp_path / "half"), CPU, labels)


def test_an_encoder_without_labels_is_no_tagger(encoder_folder):
    with pytest.raises(ConfigError, match="expected a trained tagger"):
        encoder.load_encoder_tagger(encoder_folder, CPU)


def weights(tagger):
    return {name: tensor.clone() for name, tensor in tagger.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def make_training(encoder_folder, labels, sentences):
    """Makes a fresh tagger, its optimizer and its training windows."""

    def make():
        fresh = fresh_tagger(encoder_folder, labels)
        items = encode_training_windows(fresh, sentences[:24], 40, 10)
        return fresh, make_optimizer(fresh, CONFIG), items

    return make


def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(make_training, tmp_path):
    straight, optimizer, items = make_training()
    train_epoch(straight, straight.model, optimizer, items, CONFIG, epoch=0, seed=7)
    after_one = weights(straight)
    encoder.save_encoder_tagger(straight, tmp_path / "model")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer")
    train_epoch(straight, straight.model, optimizer, items, CONFIG, epoch=1, seed=7)

    resumed = encoder.load_encoder_tagger(tmp_path / "model", CPU)
    optimizer = make_optimizer(resumed, CONFIG)
    optimizer.load_state_dict(torch.load(tmp_path / "optimizer"))
    assert same(after_one, weights(resumed))
    torch.manual_seed(12345)  # what else happened in between must not count
    train_epoch(resumed, resumed.model, optimizer, items, CONFIG, epoch=1, seed=7)
    assert not same(after_one, weights(resumed))
    assert same(weights(straight), weights(resumed))


def test_an_epoch_returns_its_mean_loss_and_leaves_the_model_ready_to_score(make_training):
    still = dataclasses.replace(CONFIG, lr=0.0)
    fresh, optimizer, items = make_training()
    for module in fresh.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = weights(fresh)
    found = train_epoch(fresh, fresh.model, optimizer, items, still, epoch=0, seed=7)
    assert same(before, weights(fresh))
    assert not fresh.model.training
    with torch.no_grad():
        alone = [(float(compute_loss(fresh, [item])), len(item.tokens_per_char)) for item in items]
    assert min(loss for loss, _ in alone) < found < max(loss for loss, _ in alone)


def test_workers_see_the_same_batches_between_them(make_training, monkeypatch):
    fresh, optimizer, items = make_training()
    seen = []
    monkeypatch.setattr(
        "rayner.taggers.encoder_training.compute_loss",
        lambda tagger, batch, model: seen.append([items.index(i) for i in batch]) or compute_loss(tagger, batch, model),
    )
    batches = {}
    for world in (1, 2):
        for rank in range(world):
            seen.clear()
            train_epoch(fresh, fresh.model, optimizer, items, CONFIG, epoch=0, seed=7, rank=rank, world_size=world)
            batches[world, rank] = list(seen)
    halves = zip(batches[2, 0], batches[2, 1], strict=True)
    assert [sorted(a + b) for a, b in halves] == [sorted(batch) for batch in batches[1, 0]]


@pytest.mark.slow
def test_a_tagger_learns_sixty_sentences_by_heart(encoder_folder, labels, types, sentences):
    config = SlmConfig(epochs=25, batch_size=8, lr=5e-3)
    learner = fresh_tagger(encoder_folder, labels)
    chosen = sentences[:60]
    items = encode_training_windows(learner, chosen, 200, 50)
    assert measure_f1(learner, chosen, types) < 0.2
    optimizer = make_optimizer(learner, config)
    losses = [
        train_epoch(learner, learner.model, optimizer, items, config, epoch=e, seed=7) for e in range(config.epochs)
    ]
    assert losses[-1] < losses[0] / 5
    assert measure_f1(learner, chosen, types) > 0.8


def test_vectors_are_those_of_the_encoder_and_long_texts_have_none(splitting_tagger, tmp_path):
    encoder.save_encoder_tagger(splitting_tagger, tmp_path)
    texts = ["楚懷王入秦", "王", "", "楚" * 90]
    with_vectors = dataclasses.replace(splitting_tagger, sentence_vectors=True)
    predictions = predict(with_vectors, texts, size=60, overlap=8, batch_size=2)
    vectors = [prediction.sentence_vector for prediction in predictions]
    assert [vector is None for vector in vectors] == [False, False, True, True]
    wanted = load_sentence_encoder(tmp_path, splitting_tagger.device).embed(texts[:2], 2)
    np.testing.assert_allclose(np.stack(vectors[:2]), wanted, atol=1e-6)
    plain = predict(splitting_tagger, texts, size=60, overlap=8, batch_size=2)
    assert all(prediction.sentence_vector is None for prediction in plain)
    for one, other in zip(predictions, plain, strict=True):
        assert one.spans == other.spans
        np.testing.assert_array_equal(one.entropy, other.entropy)
