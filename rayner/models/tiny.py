"""Small checkpoints from scratch: what a laptop trains in minutes.

They are ordinary transformers checkpoint folders, so that every later step sees only "a checkpoint", local or hub.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rayner.config import ScratchConfig

_BYTES = [f"<0x{value:02X}>" for value in range(256)]
_PUNCTUATION = "<>/&;：\n"
MAX_TOKENS = 4096  # positions that the decoder is made for


def write_encoder(folder: Path, texts: Iterable[str], shape: ScratchConfig, seed: int) -> None:
    """A BERT-like encoder whose vocabulary is the characters of the texts; the rest is its unknown token."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: i for i, token in enumerate([*specials, *_characters(texts, shape.min_count)])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
    )
    torch.manual_seed(seed)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate,
            hidden_dropout_prob=shape.dropout,
            attention_probs_dropout_prob=shape.dropout,
            max_position_embeddings=512,
        )
    )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def write_decoder(folder: Path, texts: Iterable[str], types: Sequence[str], shape: ScratchConfig, seed: int) -> None:
    """A Qwen2-like decoder: a token a character of the texts, the others in UTF-8 bytes; a token a type's name."""
    specials = ["<|endoftext|>", "<|pad|>"]
    characters = _characters([*texts, *(_PUNCTUATION * shape.min_count)], shape.min_count)
    merges: list[tuple[str, str]] = [("<", "/")]
    for kind in types:
        merges += [(kind[:i], kind[i]) for i in range(1, len(kind))]
    letters = [char for kind in types for char in kind]
    tokens = dict.fromkeys([*specials, *_BYTES, *characters, *letters, *(a + b for a, b in merges)])
    vocabulary = {token: i for i, token in enumerate(tokens)}
    raw = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges)), byte_fallback=True))
    raw.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    raw.add_special_tokens([AddedToken(token, special=True) for token in specials])
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw, eos_token=specials[0], pad_token=specials[1], model_max_length=MAX_TOKENS
    )
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(vocabulary),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=MAX_TOKENS,
            tie_word_embeddings=True,
            eos_token_id=vocabulary[specials[0]],
            pad_token_id=vocabulary[specials[1]],
        )
    )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def _characters(texts: Iterable[str], min_count: int) -> list[str]:
    counts = Counter(char for text in texts for char in text)
    return sorted(char for char, n in counts.items() if n >= min_count)
