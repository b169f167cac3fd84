"""A local model hub, and checkpoints of two families as they are published there."""

import json
import time

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.checkpoints import SPECIALS
from tests.cluster.nodes import free_port
from tests.fetching.hub import Repository, start_hub

NAME = "someone/model"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that clients of this process, and of processes it starts, use. No cache, no token."""
    made, server = start_hub()
    use_hub(made.url, monkeypatch)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_hub(hub, monkeypatch):
    """The address of a hub where nothing listens."""
    url = f"http://127.0.0.1:{free_port()}"
    use_hub(url, monkeypatch)
    return url


def use_hub(url, monkeypatch):
    """Let this process, which may have imported huggingface_hub already, and its children use a hub."""
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def catch_message(errors, call, *arguments, **options):
    """Call a function that must fail; return the error's message, which must be one line."""
    with pytest.raises(errors) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def catch_message_at_once(errors, call, *arguments, **options):
    """Do the same within five seconds; transformers alone takes more than twenty to notice that there is no network."""
    start = time.monotonic()
    message = catch_message(errors, call, *arguments, **options)
    assert time.monotonic() - start < 5
    return message


def write_bert(folder):
    """An encoder with a tokenizer of BERT, whose output layer shares its weights with the embedding."""
    torch.manual_seed(1)
    BertTokenizer(vocab={token: i for i, token in enumerate([*SPECIALS, *"楚懷王入秦齊建降政立"])}).save_pretrained(
        folder
    )
    config = BertConfig(
        vocab_size=15, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    model.save_pretrained(folder)
    return model


def write_qwen(folder):
    """A decoder of the family Qwen2, with a tokenizer of bytes."""
    torch.manual_seed(1)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({token: i for i, token in enumerate([*alphabet, "<|end|>"])}, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|end|>").save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=257, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=64, max_position_embeddings=512, tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    return model


def pickle_weights(folder, model, shards=1):
    """Replace the safetensors of a folder by pickles, as older checkpoints have them; tied weights share memory."""
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    state = model.state_dict()
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    write_shards(state, folder / "pytorch_model.bin", shards, torch.save)


def write_shards(tensors, path, n_shards, save):
    """Write tensors as several files and their index, named after the one file that would hold them all."""
    weight_map = {}
    for i in range(n_shards):
        name = f"{path.stem}-{i + 1:05}-of-{n_shards:05}{path.suffix}"
        part = dict(list(tensors.items())[i::n_shards])
        save(part, path.with_name(name))
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(index))


@pytest.fixture
def source(tmp_path):
    """The folder of a repository."""
    return tmp_path / "published"


@pytest.fixture
def bert(hub, source):
    """A repository of an encoder, published with files that no checkpoint needs."""
    model = write_bert(source)
    (source / "README.md").write_text("a model")
    (source / "modeling_own.py").write_text("print('code')")
    (source / "onnx").mkdir()
    (source / "onnx" / "model.onnx").write_bytes(b"onnx")
    torch.save({"a": torch.zeros(1)}, source / "training_args.bin")
    hub.repositories[NAME] = Repository(source)
    return model


@pytest.fixture
def qwen(hub, source):
    """A repository of a decoder."""
    model = write_qwen(source)
    hub.repositories[NAME] = Repository(source)
    return model
