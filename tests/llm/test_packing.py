"""Sequences that are packed into one row."""

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from rayner.llm import sft
from rayner.llm.packing import can_pack, count_common_tokens, pack_sequences

SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 64,
}  # fmt: skip
MODELS = {"qwen2": {}, "qwen3": {"head_dim": 8}, "llama": {}, "mistral": {"sliding_window": None}}
PACKED = st.integers(0, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 49), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=9), min_size=1, max_size=5),
    )
)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(request.param, **SIZES, **MODELS[request.param])
    made = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    assert can_pack(made)
    return made


@settings(max_examples=20, deadline=None)
@given(drawn=PACKED)
def test_packed_sequences_have_the_hidden_states_of_each_alone(model, drawn):
    common, rests = drawn
    sequences = [[*common, *rest] for rest in rests]
    packed = pack_sequences(sequences, len(common), torch.device("cpu"))
    assert packed.tokens.shape[1] == len(common) + sum(map(len, rests))
    decoder = model.get_decoder()
    with torch.no_grad():
        found = decoder(
            input_ids=packed.tokens, position_ids=packed.positions, attention_mask=packed.attends
        ).last_hidden_state[0]
        for sequence, offset in zip(sequences, packed.offsets, strict=True):
            alone = decoder(input_ids=torch.tensor([sequence])).last_hidden_state[0]
            torch.testing.assert_close(
                found[offset + len(common) : offset + len(sequence)], alone[len(common) :], atol=2e-5, rtol=1e-5
            )
            torch.testing.assert_close(found[: len(common)], alone[: len(common)], atol=2e-5, rtol=1e-5)


@given(st.lists(st.lists(st.integers(0, 1), max_size=6), max_size=5))
def test_the_common_beginning_is_the_longest(sequences):
    n = count_common_tokens(sequences)
    assert len({tuple(sequence[:n]) for sequence in sequences}) <= 1
    longer = {tuple(sequence[: n + 1]) for sequence in sequences}
    assert not sequences or len(longer) > 1 or min(map(len, sequences)) == n


@pytest.mark.parametrize(
    "kwargs", [{"model_type": "gemma3_text"}, {"attn_implementation": "eager"}, {"sliding_window": 8}]
)
def test_other_attention_is_not_packed(kwargs):
    model_type = kwargs.pop("model_type", "mistral")
    implementation = kwargs.pop("attn_implementation", "sdpa")
    config = transformers.AutoConfig.for_model(model_type, **SIZES, **{"sliding_window": None, **kwargs})
    assert not can_pack(transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation))


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
def test_packed_examples_have_the_gradient_of_padded_ones(fresh_llm, sentences, loss_over):
    examples = [sft.build_sft_example(fresh_llm, (), sentence) for sentence in sentences[:6]]
    assert sft.count_common_prompt_tokens(examples) > 3
    sft_loss = sft.SftLoss(fresh_llm, loss_over)
    found = []
    for packs in (True, False):
        assert sft_loss.packs
        sft_loss.packs = packs
        sft_loss.zero_grad()
        loss = sft_loss(examples)
        loss.backward()
        found.append((float(loss.detach()), {name: p.grad.clone() for name, p in sft_loss.named_parameters()}))
        sft_loss.packs = True
    (packed_loss, packed), (padded_loss, padded) = found
    assert packed_loss == pytest.approx(padded_loss, rel=1e-5)
    for name, gradient in padded.items():
        torch.testing.assert_close(packed[name], gradient, atol=1e-5 * float(gradient.abs().max()), rtol=1e-5)


def test_prompts_that_are_the_same_are_common_but_for_their_last_token():
    example = sft.SftExample([5, 6, 7], [8], [(8, 9)])
    assert sft.count_common_prompt_tokens([example, example]) == 2
    assert sft.count_common_prompt_tokens([]) == 0
