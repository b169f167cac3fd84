"""How much memory a process keeps after it frees blocks."""

import psutil
import torch

MIB = 2**20


def measure_kept_mib() -> int:
    """Free 240 MiB in blocks with small ones between them that live on; return how many MiB stay resident."""
    process = psutil.Process()
    blocks = [torch.ones(24 * MIB, dtype=torch.uint8)]
    blocks.clear()  # from now on glibc, left alone, keeps freed blocks of up to 24 MiB
    before = process.memory_info().rss
    small = []
    for _ in range(60):
        blocks.append(torch.ones(4 * MIB, dtype=torch.uint8))
        small.append(torch.ones(MIB // 64, dtype=torch.uint8))
    held = process.memory_info().rss - before
    assert held > 200 * MIB
    blocks.clear()
    return (process.memory_info().rss - before) // MIB
