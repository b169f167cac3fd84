import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.modeling.tokenizer import CharTokenizer
from tests.checkpoints import SHAPE, composed
from tests.strategies import at_most, texts

UNSEEN = ["\ue000", "\U000f0000", "𠀀", "\u2028", "\x00", "\t", "é", "龘"]
WRITERS = {
    "encoder": lambda folder, corpus, seed: write_scratch_encoder(folder, corpus, SHAPE, seed),
    "decoder": lambda folder, corpus, seed: write_scratch_decoder(folder, corpus, ["NR", "PER"], SHAPE, seed),
}


@pytest.fixture(scope="module")
def encoder_tokenizer(encoder_folder):
    return AutoTokenizer.from_pretrained(encoder_folder)


@pytest.fixture(scope="module")
def decoder_tokenizer(decoder_folder):
    return AutoTokenizer.from_pretrained(decoder_folder)


@pytest.mark.parametrize(("which", "auto"), [("encoder", AutoModelForMaskedLM), ("decoder", AutoModelForCausalLM)])
def test_checkpoints_load_through_the_auto_classes_in_the_shape_asked_for(which, auto, request):
    folder = request.getfixturevalue(f"{which}_folder")
    config = auto.from_pretrained(folder).config
    found = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size)
    assert found == (SHAPE.hidden, SHAPE.layers, SHAPE.heads, SHAPE.intermediate)
    assert config.vocab_size == len(AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_a_tokenizer_saved_again_spells_as_before(which, request, tmp_path):
    tokenizer = request.getfixturevalue(f"{which}_tokenizer")
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((request.getfixturevalue(f"{which}_folder") / "config.json").read_bytes())
    text = "楚使怒去，<NR>\ue000𠀀"
    assert AutoTokenizer.from_pretrained(tmp_path).encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_weights_are_safetensors_and_nothing_is_pickled(which, request):
    names = {path.name for path in Path(request.getfixturevalue(f"{which}_folder")).iterdir()}
    assert "model.safetensors" in names
    assert {Path(name).suffix for name in names} == {".safetensors", ".json"}


@at_most(60)
@given(text=texts())
def test_the_decoder_spells_every_text_so_that_it_reads_back_composed(decoder_tokenizer, text):
    assert decoder_tokenizer.decode(decoder_tokenizer.encode(text)) == unicodedata.normalize("NFC", text)
    assert decoder_tokenizer.decode([t for char in text for t in decoder_tokenizer.encode(char)]) == composed(text)


@pytest.mark.parametrize("char", UNSEEN)
def test_the_decoder_spells_an_unseen_character_in_pieces_of_its_bytes(decoder_tokenizer, char):
    tokens = decoder_tokenizer.encode(char)
    assert min(2, len(char.encode())) <= len(tokens) <= len(char.encode())
    assert decoder_tokenizer.decode(tokens) == char


def test_the_decoder_spells_a_seen_character_a_type_and_a_closing_tag_as_one_token(decoder_tokenizer, sentences, types):
    text = "".join(example.text for example in sentences)
    frequent = [char for char in sorted(set(text)) if text.count(char) >= SHAPE.min_count]
    assert len(frequent) > 100
    for spelled in [*frequent, *types, "</", "<", ">", "/", "&", ";", "\n"]:
        assert len(decoder_tokenizer.encode(spelled)) == 1, spelled


def test_a_types_name_of_any_length_is_one_token(tmp_path):
    WRITERS["decoder"](tmp_path, ["楚"], 1)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert [len(tokenizer.encode(name)) for name in ("NR", "PER", "PE", "P")] == [1, 1, 1, 1]


@at_most(60)
@given(text=texts())
def test_the_encoder_spells_every_character_as_one_token(encoder_tokenizer, text):
    chars = CharTokenizer(encoder_tokenizer).encode_chars(text)
    assert [len(tokens) for tokens in chars] == [1] * len(text)


@pytest.mark.parametrize("char", UNSEEN)
def test_the_encoder_knows_no_unseen_character(encoder_tokenizer, char):
    assert encoder_tokenizer.encode(char, add_special_tokens=False) == [encoder_tokenizer.unk_token_id]


def test_characters_rarer_than_min_count_are_unknown_or_bytes(tmp_path):
    corpus = ["楚懷", "楚王", "懷"]  # 王 once, SHAPE.min_count is 2
    for name, write in WRITERS.items():
        write(tmp_path / name, corpus, 1)
    encoder = AutoTokenizer.from_pretrained(tmp_path / "encoder")
    assert encoder.tokenize("楚懷王") == ["楚", "懷", "[UNK]"]
    decoder = AutoTokenizer.from_pretrained(tmp_path / "decoder")
    assert [len(decoder.encode(char)) for char in "楚懷王"] == [1, 1, 3]


@pytest.mark.parametrize("which", WRITERS)
def test_weights_depend_on_the_seed_alone(which, tmp_path):
    for name, seed, noise in (("a", 5, 1), ("b", 5, 2), ("c", 6, 1)):
        torch.manual_seed(noise)
        WRITERS[which](tmp_path / name, ["楚懷王", "楚懷王"], seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@at_most(20)
@given(text=st.text("楚懷王<>&/NRPE", max_size=12))
def test_vocabulary_does_not_depend_on_the_order_of_the_texts(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("order")
    vocabularies = []
    for name, corpus in (("a", [text, text]), ("b", [text[::-1], text])):
        WRITERS["decoder"](folder / name, corpus, 1)
        vocabularies.append(AutoTokenizer.from_pretrained(folder / name).get_vocab())
    assert vocabularies[0] == vocabularies[1]
