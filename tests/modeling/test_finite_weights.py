"""Models with NaN or infinity in a real file: every loader refuses them, naming the file and the tensor."""

import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rayner.config.model_settings import LoraConfig
from rayner.errors import NotFiniteError
from rayner.llm import model as llms
from rayner.llm.sentence_encoders import load_sentence_encoder
from rayner.modeling.finite_weights import find_non_finite_weight, require_finite_weights
from rayner.taggers.encoder import load_encoder_tagger, save_encoder_tagger
from tests.checkpoints import CPU, load_llm, spoil_weight

NUMBERS = [float("nan"), float("inf"), -float("inf")]


@pytest.fixture
def copied(tmp_path):
    """Copies a checkpoint, for a test to spoil."""
    return lambda folder: shutil.copytree(folder, tmp_path / "model")


def refuses(load, folder, name, file="model.safetensors"):
    with pytest.raises(NotFiniteError) as caught:
        load()
    start = f"{folder / file}: expected finite weights, found NaN or infinity in {name}: "
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tagger_is_refused(tagger, tmp_path, value, dtype):
    folder = tmp_path / "slm"
    save_encoder_tagger(tagger, folder)
    load_encoder_tagger(folder, CPU, dtype=dtype)
    name = spoil_weight(folder / "model.safetensors", value)
    refuses(lambda: load_encoder_tagger(folder, CPU, dtype=dtype), folder, name)


def test_a_base_of_a_tagger_is_refused_before_training(encoder_folder, labels, copied):
    folder = copied(encoder_folder)
    name = spoil_weight(folder / "model.safetensors", name="bert.embeddings.word_embeddings.weight")
    refuses(lambda: load_encoder_tagger(folder, CPU, labels), folder, name)


def test_a_sentence_encoder_is_refused(encoder_folder, copied):
    folder = copied(encoder_folder)
    name = spoil_weight(folder / "model.safetensors", name="bert.encoder.layer.1.output.LayerNorm.bias")
    refuses(lambda: load_sentence_encoder(folder, CPU), folder, name)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_llm_is_refused(decoder_folder, types, copied, value, dtype):
    folder = copied(decoder_folder)
    load_llm(folder, types, dtype=dtype)
    name = spoil_weight(folder / "model.safetensors", value)
    refuses(lambda: load_llm(folder, types, dtype=dtype), folder, name)


def test_of_several_files_the_one_with_the_number_is_named(decoder_folder, types, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(decoder_folder, folder)
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(decoder_folder).save_pretrained(folder, max_shard_size="20KB")
    *_, last = sorted(folder.glob("model-*.safetensors"))
    assert last.name != "model-00001-of-00001.safetensors"
    name = spoil_weight(last)
    refuses(lambda: load_llm(folder, types), folder, name, last.name)


@pytest.fixture
def adapter(decoder_folder, tmp_path):
    """A LoRA adapter of the decoder, with weights as training leaves them."""
    torch.manual_seed(4)
    adapted = llms.add_lora(AutoModelForCausalLM.from_pretrained(decoder_folder), LoraConfig(r=2, alpha=4))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("value", NUMBERS)
def test_an_adapter_is_refused_by_its_own_name_and_not_its_base(decoder_folder, types, adapter, value):
    load_llm(decoder_folder, types, adapter=adapter)
    name = spoil_weight(adapter / "adapter_model.safetensors", value)
    refuses(lambda: load_llm(decoder_folder, types, adapter=adapter), adapter, name, "adapter_model.safetensors")


def test_an_adapter_that_makes_a_finite_base_infinite_is_refused(decoder_folder, types, adapter):
    path = adapter / "adapter_model.safetensors"
    save_file({name: 1e25 * tensor for name, tensor in load_file(path).items()}, path, {"format": "pt"})
    with pytest.raises(NotFiniteError, match=f"^{decoder_folder}: expected finite weights, found NaN or infinity in "):
        load_llm(decoder_folder, types, adapter=adapter)


def test_what_the_configuration_makes_infinite_is_refused(decoder_folder, types, copied):
    """The frequencies of rotary positions are no weights of the file: they are computed from `config.json`."""
    folder = copied(decoder_folder)
    path = folder / "config.json"
    assert '"rope_theta": 10000.0' in path.read_text()
    path.write_text(path.read_text().replace('"rope_theta": 10000.0', '"rope_theta": NaN'))
    with pytest.raises(NotFiniteError, match=r"found NaN or infinity in model\.rotary_emb\.inv_freq"):
        load_llm(folder, types)


class Tensors(torch.nn.Module):
    """A parameter of each shape, and a buffer that is stored, one that is not, and one of integers."""

    def __init__(self, shapes, dtype):
        super().__init__()
        for i, shape in enumerate(shapes):
            self.register_parameter(f"p{i}", torch.nn.Parameter(torch.randn(shape).to(dtype)))
        self.register_buffer("stored", torch.randn(3).to(dtype))
        self.register_buffer("computed", torch.randn(3).to(dtype), persistent=False)
        self.register_buffer("integers", torch.arange(4))


SHAPES = st.lists(st.lists(st.integers(0, 40), min_size=0, max_size=2), max_size=3)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64])


@given(SHAPES, DTYPES, st.sampled_from(NUMBERS), st.data())
def test_one_number_in_any_place_of_any_tensor_is_found(shapes, dtype, number, data):
    module = Tensors(shapes, dtype)
    assert find_non_finite_weight(module) is None
    tensors = {name: tensor for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.numel()}
    name = data.draw(st.sampled_from(sorted(tensors.keys() - {"integers"})))
    tensor = tensors[name].detach().view(-1)
    tensor[data.draw(st.integers(0, len(tensor) - 1))] = number
    # Models keep masks of minus infinity in buffers that are not stored.
    allowed = name == "computed" and number == number
    assert find_non_finite_weight(module) == (None if allowed else name)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_checked_too(dtype):
    module = torch.nn.Module()
    module.register_buffer("weight", torch.randn(100).to(dtype))
    require_finite_weights(module, "hub/name")
    module.weight = torch.tensor([1.0, float("nan")]).to(dtype)
    with pytest.raises(NotFiniteError, match=r"^hub/name: expected finite weights, found NaN or infinity in weight: "):
        require_finite_weights(module, "hub/name")
