"""Characters clustered by the company they keep in unlabelled text, so that a tagger knows of those it never met.

Each of the commonest characters gets a vector: its positive pointwise mutual information with the common characters one
and two places before and after it, reduced by a singular value decomposition (Levy, Goldberg and Dagan 2015). Spherical
k-means over these gives the clusters. The numbers of a cluster mean nothing but "the same".
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import faiss
import numpy as np
import numpy.typing as npt
import torch

N_CLUSTERED_CHARS = 5000  # characters that are clustered, the commonest
N_CONTEXT_CHARS = 2000  # of these, those whose company counts
_OFFSETS = (1, -1, 2, -2)
_DIMENSIONS = 50
_BLOCK_CHARS = 4_000_000  # characters that are counted together
CharacterClusters = dict[str, list[int]]


def cluster_characters(
    texts: Callable[[], Iterable[str]], cluster_counts: Sequence[int], seed: int
) -> CharacterClusters:
    """For each of the commonest characters its cluster, among `sizes[0]` ones, among `sizes[1]` ... ; {} without text.

    texts: gives the same texts whenever it is called, one at a time: they are gone through twice and never all held.
    """
    counts: Counter[str] = Counter()
    for text in texts():
        counts.update(text)
    chars = [char for char, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:N_CLUSTERED_CHARS]]
    if not chars:
        return {}
    vectors = _embed_characters(_count_neighbours(texts(), chars), seed)
    found = [_assign_clusters(vectors, size, seed) for size in cluster_counts]
    return {char: [int(which[i]) for which in found] for i, char in enumerate(chars)}


def _count_neighbours(texts: Iterable[str], chars: Sequence[str]) -> list[npt.NDArray[np.int64]]:
    """[n_chars, n_contexts] for each offset: how often each character stands with each context at that distance."""
    n, contexts = len(chars), min(N_CONTEXT_CHARS, len(chars))
    found = [np.zeros(n * contexts, dtype=np.int64) for _ in _OFFSETS]
    codes = np.array([ord(char) for char in chars], dtype=np.uint32)
    order = np.argsort(codes)
    for part in _join_into_blocks(texts):
        points = np.frombuffer(part.encode("utf-32-le"), dtype=np.uint32)
        at = np.minimum(np.searchsorted(codes[order], points), n - 1)
        ranks = np.where(codes[order][at] == points, order[at], n)  # n: none of the characters
        for offset, total in zip(_OFFSETS, found, strict=True):
            own, other = (ranks[:-offset], ranks[offset:]) if offset > 0 else (ranks[-offset:], ranks[:offset])
            known = (own < n) & (other < contexts)
            total += np.bincount(own[known] * contexts + other[known], minlength=n * contexts)
    return [total.reshape(n, contexts) for total in found]


def _join_into_blocks(texts: Iterable[str]) -> Iterator[str]:
    """The texts in long pieces: counting costs as much for a short one. What stands at a seam counts as neighbours."""
    waiting: list[str] = []
    length = 0
    for text in texts:
        waiting.append(text)
        length += len(text)
        if length >= _BLOCK_CHARS:
            yield "".join(waiting)
            waiting, length = [], 0
    if length:
        yield "".join(waiting)


def _embed_characters(company: Sequence[npt.NDArray[np.int64]], seed: int) -> npt.NDArray[np.float32]:
    """[n_chars, dimensions] of length 1."""
    parts = []
    for counts in company:
        total = counts.astype(np.float32)
        rows, columns = total.sum(axis=1, keepdims=True) + 1, total.sum(axis=0, keepdims=True) + 1
        with np.errstate(divide="ignore"):
            parts.append(np.maximum(np.log(total * total.sum() / rows / columns), 0))
    matrix = torch.from_numpy(np.concatenate(parts, axis=1))
    torch.manual_seed(seed)
    left, values, _ = torch.svd_lowrank(matrix, q=min(_DIMENSIONS, *matrix.shape), niter=4)
    vectors: npt.NDArray[np.float32] = (left * values.sqrt()).numpy()
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


def _assign_clusters(vectors: npt.NDArray[np.float32], size: int, seed: int) -> npt.NDArray[np.int64]:
    """[n] the cluster of each vector; each its own where there are no more vectors than clusters."""
    if len(vectors) <= size:
        return np.arange(len(vectors))
    means = faiss.Kmeans(vectors.shape[1], size, niter=25, seed=seed, spherical=True, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(vectors))
    found: npt.NDArray[np.int64] = means.index.search(np.ascontiguousarray(vectors), 1)[1][:, 0]
    return found
