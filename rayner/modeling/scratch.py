"""Small untrained models ("from scratch"), which a laptop can train in minutes.

They are written as ordinary transformers checkpoint folders. So later steps treat them like any other checkpoint.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    ElectraConfig,
    ElectraForPreTraining,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from rayner.config.model_settings import EncoderScratchConfig, ScratchConfig

_END, _PAD = "<|endoftext|>", "<|pad|>"
_PUNCTUATION = "<>/&;：\n"
_ENCODER_MAX_TOKENS = 512  # largest number of positions of an encoder
DECODER_MAX_TOKENS = 4096  # largest number of positions of the decoder


def write_scratch_encoder(folder: Path, texts: Iterable[str], shape: EncoderScratchConfig, seed: int) -> None:
    """Write an untrained BERT-like encoder whose vocabulary is the frequent characters of the texts.

    Other characters become the unknown token.
    """
    write_scratch_bert(folder, Counter(char for text in texts for char in text), shape, seed)


def write_scratch_bert(folder: Path, char_counts: Mapping[str, int], shape: EncoderScratchConfig, seed: int) -> None:
    """Write an untrained BERT that predicts masked characters. See `write_scratch_encoder`."""
    tokenizer = make_encoder_tokenizer(_frequent_characters(char_counts, shape.min_count))
    config = BertConfig(vocab_size=len(tokenizer), **_encoder_shape_kwargs(shape))
    _write_untrained_model(folder, tokenizer, BertForMaskedLM, config, seed)


def write_scratch_electra(folder: Path, char_counts: Mapping[str, int], shape: EncoderScratchConfig, seed: int) -> None:
    """Write an untrained ELECTRA that finds replaced characters. See `write_scratch_encoder`."""
    tokenizer = make_encoder_tokenizer(_frequent_characters(char_counts, shape.min_count))
    config = ElectraConfig(vocab_size=len(tokenizer), embedding_size=shape.hidden, **_encoder_shape_kwargs(shape))
    _write_untrained_model(folder, tokenizer, ElectraForPreTraining, config, seed)


def _encoder_shape_kwargs(shape: EncoderScratchConfig) -> dict[str, Any]:
    """Return the arguments of the configuration of a BERT-like encoder that say its shape."""
    return {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.dropout,
        "max_position_embeddings": _ENCODER_MAX_TOKENS,
    }


def write_scratch_decoder(
    folder: Path, texts: Iterable[str], types: Sequence[str], shape: ScratchConfig, seed: int
) -> None:
    """Write an untrained Qwen2-like decoder with one token for each frequent character of the texts and each type name.

    Other characters are spelled in UTF-8 bytes.
    """
    char_counts = Counter(char for text in texts for char in text)
    tokenizer = make_decoder_tokenizer(_frequent_characters(char_counts, shape.min_count), types)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=DECODER_MAX_TOKENS,
        initializer_range=shape.hidden**-0.5,  # with few dimensions, 0.02 would give flat attention at first
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    _write_untrained_model(folder, tokenizer, Qwen2ForCausalLM, config, seed)


def _write_untrained_model(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    model_class: type[PreTrainedModel],
    config: PretrainedConfig,
    seed: int,
) -> None:
    """Write a model with random weights, and its tokenizer, as a checkpoint folder."""
    torch.manual_seed(seed)
    model = model_class(config)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def make_encoder_tokenizer(characters: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer of a BERT-like encoder with one token for each character."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: i for i, token in enumerate([*specials, *characters])}
    word_level = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    word_level.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=word_level,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=_ENCODER_MAX_TOKENS,
    )


def make_decoder_tokenizer(characters: Iterable[str], types: Sequence[str]) -> Qwen2Tokenizer:
    """Make a tokenizer of a Qwen2-like decoder with one token for each character and each type name."""
    vocabulary, merges = _build_byte_level_bpe([*characters, *_PUNCTUATION], [*types, "</"])
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,  # type: ignore[arg-type]  # pairs, as the library itself needs them
        eos_token=_END,
        pad_token=_PAD,
        model_max_length=DECODER_MAX_TOKENS,
    )


def _build_byte_level_bpe(
    characters: Iterable[str], words: Iterable[str]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and merges of a byte-level BPE with a token for each character and each word.

    It must be a byte-level BPE, because AutoTokenizer loads the tokenizer of any Qwen2 model as one.
    """
    byte_symbols = bytes_to_unicode()
    merges: dict[tuple[str, str], None] = {}
    for word in [*characters, *words]:
        symbols = [byte_symbols[byte] for byte in word.encode()]
        for i in range(1, len(symbols)):
            merges["".join(symbols[:i]), symbols[i]] = None
    tokens = [_END, _PAD, *sorted(byte_symbols.values()), *("".join(merge) for merge in merges)]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, list(merges)


def _frequent_characters(char_counts: Mapping[str, int], min_count: int) -> list[str]:
    return sorted(char for char, n in char_counts.items() if n >= min_count)
