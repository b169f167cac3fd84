import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rayner.errors import ConfigError
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.text.markup import escape_char
from tests.checkpoints import composed
from tests.strategies import at_most, texts

NASTY = [
    "\ue000",
    "\U000f0000",
    "𠀀",
    "\u2028",
    "\n",
    "\t",
    "\x00",
    " ",
    "\u3000",
    "\u0301",
    "\u200b",
    "<",
    "&",
    "\uf900",
]
KINDS = ["encoder", "decoder", "splitting", "normalising"]


@pytest.fixture(scope="module")
def char_tokenizers(request):
    return {kind: CharTokenizer(load_tokenizer(request.getfixturevalue(f"{kind}_folder"))) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("char", NASTY, ids=lambda char: f"U+{ord(char):04X}")
def test_every_nasty_character_has_a_token(char_tokenizers, kind, char):
    char_tokenizer = char_tokenizers[kind]
    assert len(char_tokenizer.encode_char(char)) >= 1
    assert all(0 <= token < len(char_tokenizer.tokenizer) for token in char_tokenizer.encode_char(char))
    assert len(char_tokenizer.encode_escaped_chars(char)[0]) >= 1


@at_most(60)
@given(text=texts())
def test_every_character_of_every_text_has_a_token_of_its_own(char_tokenizers, text):
    for char_tokenizer in char_tokenizers.values():
        for spelled in (char_tokenizer.encode_chars(text), char_tokenizer.encode_escaped_chars(text)):
            assert len(spelled) == len(text)
            assert all(spelled)


@pytest.mark.parametrize("char", ["\ue000", "\U000f0000", "\x00", "\u200b", " ", "\n", "\u2028"])
def test_a_character_that_the_normaliser_deletes_gets_the_unknown_token(char_tokenizers, char):
    char_tokenizer = char_tokenizers["normalising"]
    assert char_tokenizer.encode_prose(f"楚{char}王") == char_tokenizer.encode_prose(
        "楚王"
    )  # so it is: the tokenizer drops it
    unknown = (char_tokenizer.tokenizer.unk_token_id,)
    assert char_tokenizer.encode_chars(f"楚{char}王") == [
        char_tokenizer.encode_prose("楚"),
        unknown,
        char_tokenizer.encode_prose("王"),
    ]


def test_a_tokenizer_that_deletes_a_character_and_has_no_unknown_token_is_a_config_error():
    raw = Tokenizer(models.WordPiece({"楚": 0, "[UNK]": 1}, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer()
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    char_tokenizer = CharTokenizer(PreTrainedTokenizerFast(tokenizer_object=raw))
    assert char_tokenizer.encode_char("楚") == (0,)
    with pytest.raises(ConfigError, match=r"U\+E000"):
        char_tokenizer.encode_char("\ue000")
    with pytest.raises(ConfigError, match=r"U\+E000"):
        char_tokenizer.encode_escaped_chars("楚\ue000")


@at_most(60)
@given(text=texts())
def test_the_llm_reads_and_writes_markup(char_tokenizers, text):
    char_tokenizer = char_tokenizers["decoder"]
    decoded = [char_tokenizer.tokenizer.decode(list(tokens)) for tokens in char_tokenizer.encode_escaped_chars(text)]
    assert decoded == [escape_char(composed(char)) for char in text]


def test_the_small_model_reads_markup_characters_as_they_are(char_tokenizers):
    char_tokenizer = char_tokenizers["splitting"]
    assert [char_tokenizer.tokenizer.decode(list(tokens)) for tokens in char_tokenizer.encode_chars("<&l")] == [
        "<",
        "&",
        "l",
    ]


@pytest.mark.parametrize("text", ["NR", "</", "</NR>", "<|endoftext|>", "<|pad|>"])
def test_no_token_straddles_characters_of_the_text(char_tokenizers, text):
    char_tokenizer = char_tokenizers["decoder"]
    whole = char_tokenizer.encode_prose(text)
    apart = tuple(token for tokens in char_tokenizer.encode_chars(text) for token in tokens)
    assert len(whole) < len(text)  # so it is: the tokenizer would join them
    assert len(apart) >= len(text)
    assert char_tokenizer.tokenizer.decode(list(apart)) == text


def test_text_cannot_spell_a_special_token(char_tokenizers):
    for kind, name in (("decoder", "<|endoftext|>"), ("encoder", "[MASK]"), ("splitting", "[SEP]")):
        char_tokenizer = char_tokenizers[kind]
        special = char_tokenizer.encode_prose(name)
        assert len(special) == 1
        used = {
            token
            for spelled in (char_tokenizer.encode_chars(name), char_tokenizer.encode_escaped_chars(name))
            for part in spelled
            for token in part
        }
        assert special[0] not in used


def test_tags_are_spelled_apart_from_their_types(char_tokenizers, types):
    char_tokenizer = char_tokenizers["decoder"]
    tags = char_tokenizer.spell_tags(types)
    parts = [tags.open, tags.close, tags.end, *tags.types.values()]
    assert [char_tokenizer.tokenizer.decode(list(part)) for part in parts] == ["<", "</", ">", *types]
    assert list(tags.types) == types


@pytest.mark.parametrize("kind", ["encoder", "normalising"])
def test_a_tokenizer_that_cannot_spell_tags_is_a_config_error(char_tokenizers, kind):
    with pytest.raises(ConfigError, match="cannot spell"):
        char_tokenizers[kind].spell_tags(["NR"])


@pytest.mark.parametrize("kind", ["encoder", "normalising"])
def test_only_characters_of_the_vocabulary_are_known(char_tokenizers, kind):
    assert "楚" in char_tokenizers[kind]
    assert "\ue000" not in char_tokenizers[kind]


def test_a_byte_level_tokenizer_knows_every_character(char_tokenizers):
    assert all(char in char_tokenizers["decoder"] for char in "楚\ue000\U00020bb7\u2028<\n")


@pytest.mark.parametrize("name", ["", "no/such/folder/anywhere"])
def test_a_folder_without_tokenizer_is_a_config_error(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a checkpoint with a tokenizer"):
        load_tokenizer(tmp_path / name)


def decoded(char_tokenizer, tokens):
    return char_tokenizer.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.fixture(scope="module")
def byte_level(char_tokenizers):
    """The tokenizer of the decoder: as Qwen's it has tokens of several characters, and of parts of one."""
    return char_tokenizers["decoder"]


@at_most(80)
@given(text=texts(20))
def test_decoding_gives_the_text_and_where_each_token_begins(byte_level, text):
    tokens, starts = [], []
    for i, char in enumerate(composed(text)):
        spelled = byte_level.encode_prose(char)
        tokens += spelled
        starts += [i] * len(spelled)
    found, found_starts = byte_level.decode_with_token_starts(tokens)
    assert found == composed(text)
    # Only after U+FFFD itself a token might still be a part of a character.
    if "\ufffd" not in text:
        assert found_starts == starts


@at_most(80)
@given(data=st.data())
def test_any_tokens_are_decoded_whole_and_each_has_a_place(byte_level, data):
    tokens = data.draw(st.lists(st.integers(0, len(byte_level.tokenizer) - 1), max_size=20))
    text, starts = byte_level.decode_with_token_starts(tokens)
    assert text == decoded(byte_level, tokens)
    assert len(starts) == len(tokens)
    assert starts == sorted(starts)
    assert all(0 <= start <= len(text) for start in starts)
    assert not starts or starts[0] == 0


def test_special_tokens_are_written_and_unknown_numbers_are_not(byte_level):
    end = byte_level.tokenizer.eos_token_id
    (char,) = byte_level.encode_prose("<")
    assert byte_level.decode_with_token_starts([char, end, char]) == ("<<|endoftext|><", [0, 1, 14])
    assert byte_level.decode_with_token_starts([]) == ("", [])
    unused = len(byte_level.tokenizer) + 5  # checkpoints have more rows in their output layer than tokens
    assert byte_level.decode_with_token_starts([char, unused, char])[0] == "<<"


def test_a_token_that_begins_a_text_differently_is_decoded_as_in_the_middle():
    """As Llama's tokenizers do, which drop the space before the first word of a text."""
    raw = Tokenizer(models.BPE({"▁a": 0, "▁b": 1, "c": 2}, []))
    raw.decoder = decoders.Metaspace(prepend_scheme="always")
    spaced = CharTokenizer(PreTrainedTokenizerFast(tokenizer_object=raw))
    assert decoded(spaced, [1]) == "b"
    assert spaced.decode_with_token_starts([0, 1, 2, 1]) == ("a bc b", [0, 1, 3, 4])
