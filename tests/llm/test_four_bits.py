"""A base model in 4 bits, with real bitsandbytes, which also runs on CPUs."""

import pytest
import torch

from rayner.config.loading import load_config
from rayner.config.model_settings import LoraConfig
from rayner.decoding.draft_verify import DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.decoding.greedy import GreedyEngine
from rayner.errors import ConfigError
from rayner.llm import model as llms
from rayner.llm import sft
from tests.checkpoints import load_llm

LORA = LoraConfig(r=4, alpha=8, dropout=0.0)


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["llm.full_epochs=1"], r"^command line: llm\.load_in: expected none with llm\.full_epochs=1, "),
        (["llm.zero_stage=3"], r"^command line: llm\.zero_stage: expected 1 or 2 with llm\.load_in=nf4, "),
        (["llm.engine=vllm"], r"^command line: llm\.load_in: expected none with llm\.engine=vllm, "),
    ],
)
def test_four_bits_are_refused_where_they_cannot_be_used(overrides, found):
    assert load_config(None, ["llm.load_in=nf4", "llm.full_epochs=0"]).llm.load_in == "nf4"
    with pytest.raises(ConfigError, match=found):
        load_config(None, ["llm.load_in=nf4", *overrides])


def logits_of(llm):
    with torch.no_grad():
        return llm.model(input_ids=torch.tensor([llm.prompt_tokens([], "楚王怒去")])).logits


@pytest.fixture
def four_bits(decoder_folder, types, monkeypatch):
    pytest.importorskip("bitsandbytes")
    # On CPUs with AVX512-BF16 it rounds the scales of the weights to bfloat16 at the first prediction.
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
    return load_llm(decoder_folder, types, load_in="nf4")


def test_linear_layers_have_four_bits_a_weight_and_the_rest_stays(four_bits, decoder_folder, types):
    plain = dict(load_llm(decoder_folder, types).model.named_parameters())
    linear = {name for name in plain if "_proj.weight" in name}
    for name, parameter in four_bits.model.named_parameters():
        if name in linear:
            assert (parameter.dtype, parameter.numel()) == (torch.uint8, plain[name].numel() // 2)
        else:
            assert torch.equal(parameter, plain[name])
    assert llms.is_quantised(four_bits.model)


def trained_adapter(llm, sentences, folder):
    """Train an adapter for a few steps and save it; returns the trained LLM and the losses."""
    torch.manual_seed(5)
    llm.model = llms.add_lora(llm.model, LORA)
    loss_of = sft.SftLoss(llm, "allowed")
    trainable = [parameter for parameter in llm.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-2)
    examples = [sft.build_sft_example(llm, [], sentence) for sentence in sentences[:8]]
    losses = []
    for _ in range(5):
        loss = loss_of(examples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    llm.model.save_pretrained(folder)
    llm.model.eval()
    return llm, losses


@pytest.mark.parametrize("prequantised", [False, True])
def test_an_adapter_over_four_bits_learns_and_is_loaded_unmerged(
    four_bits, decoder_folder, types, sentences, tmp_path, prequantised
):
    base, load_in = decoder_folder, "nf4"
    if prequantised:
        base, load_in = tmp_path / "base", "none"
        four_bits.model.save_pretrained(base)
        four_bits.tokenizer.tokenizer.save_pretrained(base)
    before = {name: tensor.clone() for name, tensor in four_bits.model.named_parameters()}
    llm, losses = trained_adapter(load_llm(base, types, load_in=load_in), sentences, tmp_path / "adapter")
    assert losses[-1] < losses[0]
    again = load_llm(base, types, adapter=tmp_path / "adapter", load_in=load_in)
    kept = {name.replace(".base_layer", ""): p for name, p in again.model.named_parameters() if "lora_" not in name}
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.items())
    torch.testing.assert_close(logits_of(again), logits_of(llm), atol=1e-5, rtol=0)
    assert (logits_of(again) - logits_of(four_bits)).abs().max() > 0.01

    requests = [WindowRequest(sentence.text, draft=sentence.spans) for sentence in sentences[:4]]
    drafted, greedy = (
        engine(again, softmax_over="allowed", batch_size=4).answer_requests(requests)
        for engine in (DraftVerifyEngine, GreedyEngine)
    )
    assert [answer.spans for answer in drafted] == [answer.spans for answer in greedy]
