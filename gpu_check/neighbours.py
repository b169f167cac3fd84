"""Search an index on the GPU and on the CPU, and compare the neighbours."""

import time
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from gpu_check.check_setup import CheckSetup
from gpu_check.records import Findings, SkipCheckError

_DIMENSIONS = 768  # of sikuroberta's vectors
_QUERIES, _NEIGHBOURS = 500, 16
_TIE = 1e-5  # difference of two cosines below which their order is rounding


def check_neighbours(setup: CheckSetup, findings: Findings) -> None:
    """Require that the GPU finds the CPU's neighbours, but for the order of equal cosines."""
    if not (hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus()):
        raise SkipCheckError("the installed FAISS has no GPU code, or sees no GPU: rayner[gpu] has faiss-gpu")
    draw = np.random.default_rng(17)
    vectors = _unit_rows(draw.standard_normal((setup.size.vectors, _DIMENSIONS), dtype=np.float32))
    queries = _unit_rows(draw.standard_normal((_QUERIES, _DIMENSIONS), dtype=np.float32))
    cpu_index = faiss.IndexFlatIP(_DIMENSIONS)
    cpu_index.add(vectors)
    gpu_index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, cpu_index)
    expected_cosines, expected = _search(findings, "cpu", cpu_index, queries)
    cosines, found = _search(findings, "gpu", gpu_index, queries)
    largest = float(np.abs(cosines - expected_cosines).max())
    findings.note("vectors", len(vectors))
    findings.note("neighbours", found.size)
    findings.note("neighbours_in_another_order", int((found != expected).sum()))
    findings.note("largest_difference_of_cosines", largest)
    findings.require(
        largest <= _TIE,
        f"expected the CPU's cosines within {_TIE}, found {largest:.2g} off: other neighbours were found",
    )


def _search(
    findings: Findings,
    where: str,
    index: Any,  # noqa: ANN401 - FAISS has no types
    queries: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    index.search(queries[:1], _NEIGHBOURS)  # the first search on a device is slower
    started = time.perf_counter()
    cosines, rows = index.search(queries, _NEIGHBOURS)
    findings.note(f"queries_per_second_{where}", len(queries) / (time.perf_counter() - started))
    return cosines, rows


def _unit_rows(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit_rows: npt.NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows
