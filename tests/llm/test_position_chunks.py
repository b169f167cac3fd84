"""Sums over the whole vocabulary, in chunks of positions: equal to the sum at once, with less memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rayner.llm.model import compute_logits
from rayner.llm.position_chunks import compute_log_normalizers, map_position_chunks


class LargestTensor(TorchDispatchMode):
    """Remember the number of elements of the largest tensor that any operation returned."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize("positions_in_chunk", [1, 7, 64, 1000])
def test_the_log_normalizers_in_chunks_equal_those_at_once(random_llm, positions_in_chunk):
    model, n_tokens = random_llm.model, random_llm.model.get_output_embeddings().weight.shape[0]
    hidden = torch.randn(64, model.config.hidden_size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = compute_logits(model, hidden, None).double().logsumexp(-1)
        with LargestTensor() as largest:
            found = compute_log_normalizers(model, hidden, chunk_logits=positions_in_chunk * n_tokens)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-6)
    assert largest.numel <= max(n_tokens * min(64, positions_in_chunk), model.get_output_embeddings().weight.numel())


def test_the_backward_pass_keeps_no_logits_of_any_chunk():
    torch.manual_seed(1)
    n_positions, n_tokens, width = 60, 500, 8
    weight = torch.nn.Parameter(torch.randn(n_tokens, width))
    hidden = torch.randn(n_positions, width, requires_grad=True)
    kept = []

    def gradients(size):
        kept.clear()
        with (
            torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t),
            LargestTensor() as largest,
        ):
            found = map_position_chunks(
                lambda chunk: (chunk @ weight.T).logsumexp(-1), n_tokens, hidden, chunk_logits=size * n_tokens
            )
            wanted = torch.autograd.grad(found.sum(), [weight, hidden])
        return wanted, largest.numel, sum(kept)

    whole, most, _ = gradients(n_positions)
    parts, less, saved = gradients(7)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    assert most == n_positions * n_tokens
    assert less == weight.numel()  # its gradient; a chunk's logits are 7 * n_tokens
    assert saved < n_positions * n_tokens
