"""The best allowed token and its probability, with memory that does not grow with the number of positions."""

import pytest
import torch

from rayner.decoding import token_choice
from rayner.decoding.token_choice import choose_tokens
from rayner.llm import position_chunks
from tests.llm.test_position_chunks import LargestTensor


@pytest.mark.parametrize("softmax_over", ["all", "allowed"])
@pytest.mark.parametrize("chunk_logits", [1, 5_000, 2**25])
def test_choices_in_chunks_are_those_at_once_and_no_tensor_holds_the_vocabulary_of_all_positions(
    random_llm, monkeypatch, softmax_over, chunk_logits
):
    model = random_llm.model
    weight = model.get_output_embeddings().weight
    n_vocabulary, width = weight.shape
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(4, 300, width, generator=generator)
    positions = [(row, column) for row in range(4) for column in range(0, 300, 2)]
    allowed = [torch.randperm(n_vocabulary, generator=generator)[: 1 + k % 9].tolist() for k in range(len(positions))]
    for compute in (position_chunks.compute_log_normalizers, position_chunks.map_position_chunks):
        monkeypatch.setattr(
            token_choice, compute.__name__,
            lambda *args, compute=compute: compute(*args, chunk_logits=chunk_logits),
        )  # fmt: skip
    with torch.no_grad(), LargestTensor() as largest:
        tokens, probs = choose_tokens(random_llm, hidden, positions, allowed, softmax_over)
    with torch.no_grad():
        for (row, column), token, prob, ids in zip(positions, tokens, probs, allowed, strict=True):
            logits = model.lm_head(hidden[row, column]).double()
            assert token == max(ids, key=lambda k: float(logits[k]))
            total = logits.logsumexp(0) if softmax_over == "all" else logits[ids].logsumexp(0)
            assert prob == pytest.approx(float((logits[token] - total).exp()), abs=1e-6)
    if chunk_logits < len(positions) * n_vocabulary:
        small = max(weight.numel(), hidden.numel())  # the weights and the hidden states are there anyway
        assert largest.numel <= max(small, chunk_logits)


def test_no_positions_have_no_choices(random_llm):
    assert choose_tokens(random_llm, torch.zeros(1, 1, 32), [], [], "all") == ([], [])
