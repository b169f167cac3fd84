"""Tiny checkpoints, written once, as fixtures: ordinary folders, as every later step sees them.

The tests of a room of the models take them by the `conftest.py` of their folder.
"""

import json
import shutil
import struct
import unicodedata
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models
from transformers import BertConfig, BertForMaskedLM, BertTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging

from rayner.config.model_settings import EncoderScratchConfig
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_labelled_text
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.llm import model, sentence_encoders
from rayner.modeling.scratch import write_scratch_decoder, write_scratch_encoder
from rayner.runs.run_folder import file_sha256
from rayner.taggers import crf
from rayner.taggers import encoder as encoder_tagger
from rayner.text.tags import bmes_labels

logging.disable_progress_bar()

CPU = torch.device("cpu")
SHAPE = EncoderScratchConfig(hidden=32, layers=2, heads=2, intermediate=64, min_count=2)
SAMPLE = Path(__file__).parents[1] / "sample" / "labelled.txt"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/]{% endfor %}{% if add_generation_prompt %}[bot]{% endif %}"
)


@pytest.fixture(scope="session")
def sentences():
    """Labelled sentences of the sample, each once, none without an entity."""
    labelled = read_labelled_file(SAMPLE)
    distinct = {
        e.text: e for e in split_labelled_text(labelled.text, labelled.spans) if e.spans and e.text == e.text.strip()
    }
    return list(distinct.values())[:300]


@pytest.fixture(scope="session")
def types(sentences):
    return sorted({span.type for e in sentences for span in e.spans})


@pytest.fixture(scope="session")
def labels(types):
    return bmes_labels(types)


@pytest.fixture(scope="session")
def encoder_folder(sentences, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    write_scratch_encoder(folder, [e.text for e in sentences], SHAPE, seed=1)
    return folder


@pytest.fixture(scope="session")
def decoder_folder(sentences, types, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    write_scratch_decoder(folder, [e.text for e in sentences], types, SHAPE, seed=1)
    return folder


@pytest.fixture(scope="session")
def chat_folder(decoder_folder, tmp_path_factory):
    """The decoder with a chat template."""
    folder = tmp_path_factory.mktemp("chat") / "decoder"
    shutil.copytree(decoder_folder, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    return folder


@pytest.fixture(scope="session")
def splitting_folder(tmp_path_factory):
    """An encoder of 64 positions that knows 楚懷王 and spells all other characters in one to four bytes."""
    folder = tmp_path_factory.mktemp("splitting")
    tokens = [*SPECIALS, *(f"<0x{value:02X}>" for value in range(256)), *"楚懷王"]
    raw = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, [], byte_fallback=True))
    raw.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], SPECIALS, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=raw, **names).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=SHAPE.hidden,
        num_hidden_layers=SHAPE.layers,
        num_attention_heads=SHAPE.heads,
        intermediate_size=SHAPE.intermediate,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def normalising_folder(tmp_path_factory):
    """A BERT tokenizer as they are published: its normaliser deletes private-use and control characters."""
    folder = tmp_path_factory.mktemp("normalising")
    BertTokenizer(vocab={token: i for i, token in enumerate([*SPECIALS, *"楚懷王"])}).save_pretrained(folder)
    BertConfig().save_pretrained(folder)
    return folder


def composed(text):
    """A text as a Qwen2 tokenizer spells it, read character by character: NFC changes 豈 (U+F900) to 豈 (U+8C48)."""
    return "".join(unicodedata.normalize("NFC", char) for char in text)


def bold(tagger):
    """The tagger with a random head that is sure here and in doubt there, as a trained one is."""
    with torch.no_grad():
        tagger.model.classifier.weight.mul_(40)
    return tagger


def fresh_tagger(folder, labels):
    torch.manual_seed(2)
    return encoder_tagger.load_encoder_tagger(folder, CPU, labels)


@pytest.fixture(scope="session")
def tagger(encoder_folder, labels):
    return bold(fresh_tagger(encoder_folder, labels))


@pytest.fixture(scope="session")
def splitting_tagger(splitting_folder, labels):
    return bold(fresh_tagger(splitting_folder, labels))


def truncated(folder, to):
    """A copy of a checkpoint whose weights were written by half, as by a full disk."""
    shutil.copytree(folder, to)
    weights = to / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    return to


def load_llm(folder, types, **settings):
    return model.load_llm_checkpoint(
        folder, **{"instruction": "標注：", "types": types, "chat": False, "device": CPU, **settings}
    )


def answer_greedily(llm, texts, examples, *, softmax_over, batch_size):
    """The reference's answers to texts, whose prompts show these examples."""
    requests = [WindowRequest(text, shown) for text, shown in zip(texts, examples, strict=True)]
    return GreedyEngine(llm, softmax_over=softmax_over, batch_size=batch_size).answer_requests(requests)


@pytest.fixture
def fresh_llm(decoder_folder, types):
    """One for each test, which may train it."""
    return load_llm(decoder_folder, types)


@pytest.fixture(scope="session")
def random_llm(decoder_folder, types):
    """Random, never trained; so loud that it prefers this token here and that one there."""
    made = load_llm(decoder_folder, types)
    torch.manual_seed(3)
    with torch.no_grad():
        made.model.get_input_embeddings().weight.normal_(std=0.7)
    return made


@pytest.fixture(scope="session")
def encoder(encoder_folder):
    return sentence_encoders.load_sentence_encoder(encoder_folder, CPU)


def spoil_weight(path, value=float("nan"), name=None):
    """Put a value into one tensor of a safetensors file, in its last place; returns the tensor's name."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    name = name or max(tensors)
    tensors[name].view(-1)[-1] = value
    save_file(tensors, path, metadata)
    return name


def spoil_crf(folder, value=float("nan")):
    """Put a value into the last weight of a CRF, and record the file as the one that training wrote."""
    path, description = folder / crf.MODEL_FILE, folder / crf.DESCRIPTION_FILE
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[28:32], "little")
    end = start + 12 + 20 * int.from_bytes(content[start + 8 : start + 12], "little")
    content[end - 8 : end] = struct.pack("<d", value)
    path.write_bytes(content)
    fields = json.loads(description.read_text(encoding="utf-8"))
    description.write_text(json.dumps({**fields, "sha256": file_sha256(path)}), encoding="utf-8")
