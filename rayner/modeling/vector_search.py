"""Exact search for the most similar vectors, and k-means, with FAISS on the CPU or on a GPU.

Both devices find the same neighbours in the same order. FAISS only proposes candidates, because its inner products
differ by rounding between devices and between batch sizes. The candidates are compared by inner products in float64,
and equal ones by their row number.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch  # noqa: F401 - torch must be loaded before FAISS: two versions of CUDA in the other order end the process

# isort: split
from rayner.errors import ConfigError

try:
    import faiss
except ModuleNotFoundError:
    raise ConfigError(
        "faiss: expected one of the packages faiss-cpu (pip install 'rayner[cpu]') and faiss-gpu ('rayner[gpu]'), "
        "found none"
    ) from None

_EXTRA_CANDIDATES = 16  # so that few searches must be repeated because of ties
_ROUNDING = 1e-5  # more than FAISS's float32 inner products of vectors with norm 1 differ from the exact ones
_MAX_GPU_NEIGHBOURS = 2048  # FAISS's limit for a search on a GPU
_GPU_BYTES = 256 * 1024**2  # for FAISS's temporary memory; its default is 1.5 GiB, which models need
_BLOCK_ROWS = 10_000  # rows that are compared at a time


def faiss_can_use_gpus() -> bool:
    """Return whether the installed FAISS is a build for GPUs. No GPU is touched."""
    return hasattr(faiss, "StandardGpuResources")


def count_faiss_gpus() -> int:
    """Return the number of GPUs that FAISS sees in this process."""
    return int(faiss.get_num_gpus()) if faiss_can_use_gpus() else 0


def resolve_faiss_device(name: str, gpus: float) -> str:
    """Return `cpu` or `cuda`, the device of FAISS in this process.

    Args:
        name: `auto` is `cuda` if Ray gave this process a GPU that FAISS sees, else `cpu`.
        gpus: The number of GPUs that Ray gave this process. Ray does not hide the others.

    Raises:
        ConfigError: The name is `cuda`, and FAISS sees no GPU.

    """
    if name == "cpu" or not gpus:
        return "cpu"
    if count_faiss_gpus():
        return "cuda"
    if name == "cuda":
        found = "none that it sees" if faiss_can_use_gpus() else "a FAISS for CPUs (faiss-cpu)"
        raise ConfigError(f"index.device: expected a GPU for FAISS, found {found}: set index.device=auto")
    return "cpu"


def build_vector_index(vectors: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401 - FAISS's indexes share no useful type
    """Build a flat FAISS index of inner products, on the CPU. vectors: shape [n, dimensions]."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def write_vector_index(index: Any, path: Path) -> None:  # noqa: ANN401 - see build_vector_index
    """Write an index to a file."""
    faiss.write_index(index, str(path))


def read_vector_index(path: Path) -> Any:  # noqa: ANN401 - see build_vector_index
    """Read an index. FAISS does not check the file: compare its digest first. Raises RuntimeError if it is damaged."""
    return faiss.read_index(str(path))


class VectorSearch:
    """Finds the rows of a FAISS index whose inner products with a query are the largest.

    vectors: a flat FAISS index of inner products, on the CPU. Its vectors have the L2 norm 1.
    device: `cpu` or `cuda`. On a GPU the search has a copy of the vectors.
    """

    def __init__(self, vectors: Any, device: str = "cpu") -> None:  # noqa: ANN401 - FAISS's indexes share no useful type
        self._vectors = vectors
        self._gpu_index: Any = None
        if device == "cuda":
            self._resources = faiss.StandardGpuResources()  # must live as long as the index
            self._resources.setTempMemory(_GPU_BYTES)
            self._gpu_index = faiss.index_cpu_to_gpu(self._resources, 0, vectors)

    def nearest_rows(self, queries: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        """Return the rows nearest to each query, the nearest first, and of equally near ones the smaller row first.

        Args:
            queries: Finite vectors, shape [n_queries, dimensions].
            k: The number of rows for each query.

        Returns:
            Row numbers, shape [n_queries, min(k, n_rows)].

        """
        n_rows = int(self._vectors.ntotal)
        k = min(k, n_rows)
        nearest = np.empty((len(queries), k), dtype=np.int64)
        pending, depth = np.arange(len(queries)), k + _EXTRA_CANDIDATES
        while len(pending) and k:
            depth = min(depth, n_rows)
            scores, candidates = self._search(queries[pending], depth)
            is_settled = np.full(len(pending), depth == n_rows)
            for i, row in enumerate(pending):
                rows = np.sort(candidates[i])
                exact = self._exact_scores(queries[row], rows)
                order = np.argsort(-exact, kind="stable")[:k]
                nearest[row] = rows[order]
                # No row that FAISS left out can be as near as the last of these.
                is_settled[i] |= exact[order[-1]] > scores[i, -1] + _ROUNDING
            pending, depth = pending[~is_settled], 4 * depth
        return nearest

    def _search(
        self, queries: npt.NDArray[np.float32], depth: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        on_gpu = self._gpu_index is not None and depth <= _MAX_GPU_NEIGHBOURS
        index = self._gpu_index if on_gpu else self._vectors
        scores, rows = index.search(np.ascontiguousarray(queries), depth)
        return scores, rows

    def _exact_scores(self, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return inner products in float64. Equal vectors get equal ones, because each row is added up by itself."""
        blocks = [
            (self._vectors.reconstruct_batch(rows[start : start + _BLOCK_ROWS]) * query.astype(np.float64)).sum(axis=1)
            for start in range(0, len(rows), _BLOCK_ROWS)
        ]
        return np.concatenate(blocks)


def cluster_vectors(
    vectors: npt.NDArray[np.float32], n_clusters: int, seed: int, device: str = "cpu"
) -> npt.NDArray[np.int64]:
    """Group vectors of L2 norm 1 by spherical k-means; return the cluster of each vector, shape [n_vectors].

    On a GPU, rounding can give other clusters than on the CPU.

    device: `cpu` or `cuda`.
    """
    vectors = np.ascontiguousarray(vectors)
    options = {"gpu": 1} if device == "cuda" else {}
    kmeans = faiss.Kmeans(
        vectors.shape[1], n_clusters, niter=25, seed=seed, spherical=True, min_points_per_centroid=1, **options
    )
    kmeans.train(vectors)
    return VectorSearch(build_vector_index(np.asarray(kmeans.centroids))).nearest_rows(vectors, 1)[:, 0]
