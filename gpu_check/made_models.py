"""Models with random weights, made on the device, with tokenizers of our own. Nothing is downloaded."""

import tempfile
from dataclasses import fields
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BertConfig, BertForTokenClassification, Qwen2Config

from gpu_check.made_texts import ALPHABET, TYPES
from gpu_check.shapes import DecoderShape, EncoderShape
from rayner.config.model_settings import SlmConfig
from rayner.llm.model import Llm
from rayner.llm.prompt_encoder import load_prompt_encoder
from rayner.llm.prompts import build_instruction
from rayner.modeling.devices import TORCH_DTYPES
from rayner.modeling.scratch import make_decoder_tokenizer, make_encoder_tokenizer
from rayner.modeling.tokenizer import CharTokenizer
from rayner.taggers.encoder import EncoderTagger
from rayner.text.tags import bmes_labels

SEED = 13
_INSTRUCTION = build_instruction(dict.fromkeys(TYPES, ""))
# The frame of ChatML, which the templates of Qwen2.5 and Qwen3 put around a prompt.
_CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_decoder_config(shape: DecoderShape) -> Qwen2Config:
    """Build the configuration of an LLM of this shape."""
    return Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        bos_token_id=None,
    )


def build_encoder_config(shape: EncoderShape) -> BertConfig:
    """Build the configuration of an SLM of this shape."""
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
    )
    config.num_labels = len(bmes_labels(TYPES))
    return config


def make_llm(shape: DecoderShape, device: torch.device, dtype: str) -> Llm:
    """Make an LLM with random weights on the device."""
    config = build_decoder_config(shape)
    torch.manual_seed(SEED)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=TORCH_DTYPES[dtype])
    with tempfile.TemporaryDirectory() as name:
        config.save_pretrained(name)
        tokenizer = make_decoder_tokenizer(ALPHABET, TYPES)
        tokenizer.chat_template = _CHAT_TEMPLATE
        tokenizer.save_pretrained(name)
        encoder = load_prompt_encoder(Path(name), instruction=_INSTRUCTION, types=TYPES, chat=True)
    common = {each.name: getattr(encoder, each.name) for each in fields(encoder) if each.init}
    return Llm(**common, model=model.eval(), device=device)


def make_tagger(shape: EncoderShape, device: torch.device, dtype: str, config: SlmConfig) -> EncoderTagger:
    """Make a tagger with random weights on the device."""
    torch.manual_seed(SEED)
    with device:
        model = BertForTokenClassification(build_encoder_config(shape)).to(
            TORCH_DTYPES[dtype]  # type: ignore[arg-type]  # its decorator hides `self` from mypy
        )
    tokenizer = CharTokenizer(make_encoder_tokenizer(ALPHABET))
    return EncoderTagger(model, tokenizer, bmes_labels(TYPES), device, config)
