import pytest
from hypothesis import given
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
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
def spellers(request):
    return {kind: CharTokenizer(load_tokenizer(request.getfixturevalue(f"{kind}_folder"))) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("char", NASTY, ids=lambda char: f"U+{ord(char):04X}")
def test_every_nasty_character_has_a_token(spellers, kind, char):
    speller = spellers[kind]
    assert len(speller.encode_char(char)) >= 1
    assert all(0 <= token < len(speller.tokenizer) for token in speller.encode_char(char))
    assert len(speller.encode_escaped_chars(char)[0]) >= 1


@at_most(60)
@given(text=texts())
def test_every_character_of_every_text_has_a_token_of_its_own(spellers, text):
    for speller in spellers.values():
        for spelled in (speller.encode_chars(text), speller.encode_escaped_chars(text)):
            assert len(spelled) == len(text)
            assert all(spelled)


@pytest.mark.parametrize("char", ["\ue000", "\U000f0000", "\x00", "\u200b", " ", "\n", "\u2028"])
def test_a_character_that_the_normaliser_deletes_gets_the_unknown_token(spellers, char):
    speller = spellers["normalising"]
    assert speller.encode_prose(f"楚{char}王") == speller.encode_prose("楚王")  # so it is: the tokenizer drops it
    unknown = (speller.tokenizer.unk_token_id,)
    assert speller.encode_chars(f"楚{char}王") == [speller.encode_prose("楚"), unknown, speller.encode_prose("王")]


def test_a_tokenizer_that_deletes_a_character_and_has_no_unknown_token_is_a_config_error():
    raw = Tokenizer(models.WordPiece({"楚": 0, "[UNK]": 1}, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer()
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    speller = CharTokenizer(PreTrainedTokenizerFast(tokenizer_object=raw))
    assert speller.encode_char("楚") == (0,)
    with pytest.raises(ConfigError, match=r"U\+E000"):
        speller.encode_char("\ue000")
    with pytest.raises(ConfigError, match=r"U\+E000"):
        speller.encode_escaped_chars("楚\ue000")


@at_most(60)
@given(text=texts())
def test_the_llm_reads_and_writes_markup(spellers, text):
    speller = spellers["decoder"]
    decoded = [speller.tokenizer.decode(list(tokens)) for tokens in speller.encode_escaped_chars(text)]
    assert decoded == [escape_char(composed(char)) for char in text]


def test_the_small_model_reads_markup_characters_as_they_are(spellers):
    speller = spellers["splitting"]
    assert [speller.tokenizer.decode(list(tokens)) for tokens in speller.encode_chars("<&l")] == ["<", "&", "l"]


@pytest.mark.parametrize("text", ["NR", "</", "</NR>", "<|endoftext|>", "<|pad|>"])
def test_no_token_straddles_characters_of_the_text(spellers, text):
    speller = spellers["decoder"]
    whole = speller.encode_prose(text)
    apart = tuple(token for tokens in speller.encode_chars(text) for token in tokens)
    assert len(whole) < len(text)  # so it is: the tokenizer would join them
    assert len(apart) >= len(text)
    assert speller.tokenizer.decode(list(apart)) == text


def test_text_cannot_spell_a_special_token(spellers):
    for kind, name in (("decoder", "<|endoftext|>"), ("encoder", "[MASK]"), ("splitting", "[SEP]")):
        speller = spellers[kind]
        special = speller.encode_prose(name)
        assert len(special) == 1
        used = {
            token
            for spelled in (speller.encode_chars(name), speller.encode_escaped_chars(name))
            for part in spelled
            for token in part
        }
        assert special[0] not in used


def test_tags_are_spelled_apart_from_their_types(spellers, types):
    speller = spellers["decoder"]
    tags = speller.spell_tags(types)
    parts = [tags.open, tags.close, tags.end, *tags.types.values()]
    assert [speller.tokenizer.decode(list(part)) for part in parts] == ["<", "</", ">", *types]
    assert list(tags.types) == types


@pytest.mark.parametrize("kind", ["encoder", "normalising"])
def test_a_tokenizer_that_cannot_spell_tags_is_a_config_error(spellers, kind):
    with pytest.raises(ConfigError, match="cannot spell"):
        spellers[kind].spell_tags(["NR"])


@pytest.mark.parametrize("kind", ["encoder", "normalising"])
def test_only_characters_of_the_vocabulary_are_known(spellers, kind):
    assert "楚" in spellers[kind]
    assert "\ue000" not in spellers[kind]


def test_a_byte_level_tokenizer_knows_every_character(spellers):
    assert all(char in spellers["decoder"] for char in "楚\ue000\U00020bb7\u2028<\n")


@pytest.mark.parametrize("name", ["", "no/such/folder/anywhere"])
def test_a_folder_without_tokenizer_is_a_config_error(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a checkpoint with a tokenizer"):
        load_tokenizer(tmp_path / name)
