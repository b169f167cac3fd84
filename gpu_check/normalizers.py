"""Compare the log-sum-exp over the vocabulary in chunks of positions with that of all positions at once."""

import torch

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_llm
from gpu_check.memory import read_memory, read_peak_memory, reset_peak_memory
from gpu_check.records import Findings
from rayner.llm.model import compute_logits
from rayner.llm.position_chunks import CHUNK_LOGITS, compute_log_normalizers

_TOLERANCE = 1e-3  # both are computed from the same logits, so only the order of sums differs
_FLOAT_BYTES = 4
# Tensors of logits that exist at a time: in the model's type, in float32, and what log-sum-exp makes of them.
_COPIES = 4


@torch.inference_mode()
def check_log_sum_exp(setup: CheckSetup, findings: Findings, shape_name: str) -> None:
    """Require the same values, and on a GPU a peak of the memory that does not grow with the positions."""
    llm = make_llm(setup.size.decoders[shape_name], setup.device, "bfloat16")
    n_tokens = llm.model.get_output_embeddings().weight.shape[0]
    n_positions = 4 * max(1, CHUNK_LOGITS // n_tokens) if setup.size.name == "full" else 64
    chunk_logits = CHUNK_LOGITS if setup.size.name == "full" else 5 * n_tokens
    hidden = torch.randn(n_positions, llm.model.config.hidden_size, device=setup.device, dtype=torch.bfloat16)
    before = read_memory(setup.device)
    reset_peak_memory(setup.device)
    in_chunks = compute_log_normalizers(llm.model, hidden, chunk_logits)
    chunks_peak = read_peak_memory(setup.device) - before
    reset_peak_memory(setup.device)
    at_once = compute_logits(llm.model, hidden, None).logsumexp(-1)
    at_once_peak = read_peak_memory(setup.device) - before
    difference = float((in_chunks - at_once).abs().max())
    findings.note("positions", n_positions)
    findings.note("vocabulary", n_tokens)
    findings.note("largest_difference", difference)
    findings.require(bool(in_chunks.isfinite().all()), "expected finite sums, found NaN or infinity")
    findings.require(
        difference <= _TOLERANCE,
        f"expected the sums in chunks within {_TOLERANCE} of those at once, found {difference:.2g}",
    )
    if setup.device.type == "cuda":  # on a CPU the peak is that of the whole process
        findings.note("peak_bytes_in_chunks", chunks_peak)
        findings.note("peak_bytes_at_once", at_once_peak)
        limit = _COPIES * chunk_logits * _FLOAT_BYTES
        findings.require(chunks_peak <= limit, f"in chunks: expected at most {limit:,} bytes, found {chunks_peak:,}")
