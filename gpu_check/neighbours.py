"""Search for the nearest vectors with FAISS: on the CPU against exact products, and on the GPU against the CPU."""

import time

import numpy as np
import numpy.typing as npt

from gpu_check.check_setup import CheckSetup
from gpu_check.records import Findings, SkipCheckError
from rayner.modeling.vector_search import VectorSearch, build_vector_index, cluster_vectors, count_faiss_gpus

_DIMENSIONS = 768  # of sikuroberta's vectors
_QUERIES, _NEIGHBOURS, _CLUSTERS = 200, 16, 32
_COPIES = 10  # one vector in so many is a copy of another, so that there are ties
_DIGITS = 12  # to which products are rounded, so that copies have equal ones
_WORST_CLUSTERS = 0.97  # cosines with the centroids on the GPU, as a share of those on the CPU

Vectors = npt.NDArray[np.float32]


def check_neighbours_cpu(setup: CheckSetup, findings: Findings) -> None:
    """Require the neighbours that products in float64 give, equally near ones in the order of their rows."""
    vectors, queries = _make_vectors(setup.size.vectors)
    products = np.round(queries.astype(np.float64) @ vectors.astype(np.float64).T, _DIGITS)
    expected = np.argsort(-products, axis=1, kind="stable")[:, :_NEIGHBOURS]
    found = _search(findings, vectors, queries, "cpu")
    findings.note("vectors", len(vectors))
    _require_equal(findings, found, expected, "the exact")


def check_neighbours_gpu(setup: CheckSetup, findings: Findings) -> None:
    """Require the CPU's neighbours, and clusters that are about as good as the CPU's."""
    if not count_faiss_gpus() or setup.device.type != "cuda":
        raise SkipCheckError("FAISS has no GPU code, or sees no GPU: the extra rayner[gpu] has faiss-gpu")
    vectors, queries = _make_vectors(setup.size.vectors)
    expected, found = (_search(findings, vectors, queries, device) for device in ("cpu", "cuda"))
    _require_equal(findings, found, expected, "the CPU's")
    cpu_cosine, gpu_cosine = (_cluster(findings, vectors, device) for device in ("cpu", "cuda"))
    findings.require(
        gpu_cosine >= _WORST_CLUSTERS * cpu_cosine,
        f"k-means: expected a mean cosine of at least {_WORST_CLUSTERS} of the CPU's {cpu_cosine:.4f}, found "
        f"{gpu_cosine:.4f}",
    )


def _make_vectors(n: int) -> tuple[Vectors, Vectors]:
    """Make vectors, some of which are copies of others, and queries."""
    draw = np.random.default_rng(17)
    vectors = _unit_rows(draw.standard_normal((n, _DIMENSIONS), dtype=np.float32))
    vectors[:: 2 * _COPIES] = vectors[1 :: 2 * _COPIES]
    near = vectors[draw.integers(n, size=_QUERIES)]
    return vectors, _unit_rows(near + draw.standard_normal(near.shape, dtype=np.float32) / _DIMENSIONS**0.5)


def _search(findings: Findings, vectors: Vectors, queries: Vectors, device: str) -> npt.NDArray[np.int64]:
    search = VectorSearch(build_vector_index(vectors), device)
    search.nearest_rows(queries[:1], _NEIGHBOURS)  # the first search on a device is slower
    started = time.perf_counter()
    rows = search.nearest_rows(queries, _NEIGHBOURS)
    findings.note(f"queries_per_second_{device}", len(queries) / (time.perf_counter() - started))
    return rows


def _require_equal(
    findings: Findings, found: npt.NDArray[np.int64], expected: npt.NDArray[np.int64], whose: str
) -> None:
    n_different = int((found != expected).any(axis=1).sum())
    findings.note("queries", len(found))
    findings.note("different_neighbours", n_different)
    findings.require(n_different == 0, f"expected {whose} neighbours, found others for {n_different} queries")


def _cluster(findings: Findings, vectors: Vectors, device: str) -> float:
    """Cluster vectors and return the mean cosine of a vector with the centroid of its cluster."""
    clusters = cluster_vectors(vectors, _CLUSTERS, seed=17, device=device)
    sums = np.zeros((_CLUSTERS, _DIMENSIONS), dtype=np.float32)
    np.add.at(sums, clusters, vectors)
    centroids = _unit_rows(sums + np.float32(1e-12))  # a cluster may be empty
    cosine = float(np.einsum("ij,ij->i", vectors, centroids[clusters]).mean())
    findings.note(f"mean_cosine_of_clusters_{device}", cosine)
    return cosine


def _unit_rows(rows: Vectors) -> Vectors:
    unit_rows: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit_rows
