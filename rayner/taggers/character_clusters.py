"""Clusters of characters, so that a tagger can also learn about rare characters.

Characters with similar neighbours in unlabelled text get the same cluster. Each of the most frequent characters gets a
vector: its positive pointwise mutual information with the frequent characters one and two positions before and after
it, reduced by a singular value decomposition (Levy, Goldberg and Dagan 2015). Spherical k-means groups these vectors
into clusters. The number of a cluster only identifies it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

N_CLUSTERED_CHARS = 5000  # number of most frequent characters, which get a cluster
N_CONTEXT_CHARS = 2000  # number of most frequent characters, which count as neighbours
_OFFSETS = (1, -1, 2, -2)
_DIMENSIONS = 50
_BLOCK_CHARS = 4_000_000  # number of characters that are counted together
CharacterClusters = dict[str, list[int]]


def cluster_characters(
    read_texts: Callable[[], Iterable[str]], cluster_counts: Sequence[int], seed: int, device: str = "cpu"
) -> CharacterClusters:
    """Return the clusters of each of the most frequent characters, one cluster for each clustering; {} without text.

    Args:
        read_texts: Yields the same texts at each call. The texts are read twice and are never all held in memory.
        cluster_counts: The number of clusters of each clustering.
        seed: The random seed.
        device: `cpu` or `cuda`, where k-means runs.

    """
    char_counts: Counter[str] = Counter()
    for text in read_texts():
        char_counts.update(text)
    most_common = sorted(char_counts.items(), key=lambda pair: (-pair[1], pair[0]))
    chars = [char for char, _ in most_common[:N_CLUSTERED_CHARS]]
    if not chars:
        return {}
    vectors = _embed_characters(_count_neighbours(read_texts(), chars), seed)
    clusterings = [_assign_clusters(vectors, n_clusters, seed, device) for n_clusters in cluster_counts]
    return {char: [int(clusters[i]) for clusters in clusterings] for i, char in enumerate(chars)}


def _count_neighbours(texts: Iterable[str], chars: Sequence[str]) -> list[npt.NDArray[np.int64]]:
    """Count how often each context character stands at each offset from each character.

    Returns:
        One array for each of `_OFFSETS`, shape [n_chars, n_contexts].

    """
    n_chars, n_contexts = len(chars), min(N_CONTEXT_CHARS, len(chars))
    totals = [np.zeros(n_chars * n_contexts, dtype=np.int64) for _ in _OFFSETS]
    code_points = np.array([ord(char) for char in chars], dtype=np.uint32)
    order = np.argsort(code_points)
    for block in _join_into_blocks(texts):
        text = np.frombuffer(block.encode("utf-32-le"), dtype=np.uint32)
        places = np.minimum(np.searchsorted(code_points[order], text), n_chars - 1)
        ranks = np.where(code_points[order][places] == text, order[places], n_chars)  # n_chars: any other character
        for offset, total in zip(_OFFSETS, totals, strict=True):
            char, context = (ranks[:-offset], ranks[offset:]) if offset > 0 else (ranks[-offset:], ranks[:offset])
            counted = (char < n_chars) & (context < n_contexts)
            total += np.bincount(char[counted] * n_contexts + context[counted], minlength=n_chars * n_contexts)
    return [total.reshape(n_chars, n_contexts) for total in totals]


def _join_into_blocks(texts: Iterable[str]) -> Iterator[str]:
    """Join the texts into long blocks and yield the blocks, because counting has a fixed cost for each block.

    In a block, the last characters of a text and the first characters of the next text count as neighbours.
    """
    pending: list[str] = []
    n_chars = 0
    for text in texts:
        pending.append(text)
        n_chars += len(text)
        if n_chars >= _BLOCK_CHARS:
            yield "".join(pending)
            pending, n_chars = [], 0
    if n_chars:
        yield "".join(pending)


def _embed_characters(neighbour_counts: Sequence[npt.NDArray[np.int64]], seed: int) -> npt.NDArray[np.float32]:
    """Compute vectors from the counts of `_count_neighbours`, shape [n_chars, dimensions], L2 norm 1."""
    import torch  # a trained CRF tags without it

    parts = []
    for counts in neighbour_counts:
        joint = counts.astype(np.float32)
        char_totals, context_totals = joint.sum(axis=1, keepdims=True) + 1, joint.sum(axis=0, keepdims=True) + 1
        with np.errstate(divide="ignore"):
            parts.append(np.maximum(np.log(joint * joint.sum() / char_totals / context_totals), 0))
    information = torch.from_numpy(np.concatenate(parts, axis=1))
    torch.manual_seed(seed)
    left, singular_values, _ = torch.svd_lowrank(information, q=min(_DIMENSIONS, *information.shape), niter=4)
    vectors: npt.NDArray[np.float32] = (left * singular_values.sqrt()).numpy()
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


def _assign_clusters(
    vectors: npt.NDArray[np.float32], n_clusters: int, seed: int, device: str
) -> npt.NDArray[np.int64]:
    """Return the cluster of each vector, shape [n_vectors].

    If there are no more vectors than clusters, each vector gets a cluster of its own.
    """
    from rayner.modeling.vector_search import cluster_vectors

    if len(vectors) <= n_clusters:
        return np.arange(len(vectors))
    return cluster_vectors(vectors, n_clusters, seed, device)
