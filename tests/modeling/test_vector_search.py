"""The nearest vectors, in an order that depends neither on the device nor on the batch."""

import importlib
import sys

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.errors import ConfigError
from rayner.modeling import vector_search
from rayner.modeling.vector_search import (
    VectorSearch,
    build_vector_index,
    cluster_vectors,
    count_faiss_gpus,
    resolve_faiss_device,
)
from tests.strategies import at_most


def random_vectors(n, dimensions=16, seed=1):
    drawn = np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def brute_force(vectors, queries, k):
    """All rows by their inner product in float64, equal ones by row."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    rounded = np.round(scores, 9)  # numpy's product, too, depends on the place of a row
    return np.array([sorted(range(len(vectors)), key=lambda row: (-line[row], row))[:k] for line in rounded])


class OtherRounding:
    """An index as on another device: the same vectors, scores that differ by rounding, ties in another order."""

    def __init__(self, index):
        self.index = index
        self.ntotal = index.ntotal
        self.depths = []

    def search(self, queries, k):
        self.depths.append(k)
        vectors = self.index.reconstruct_n(0, self.ntotal)
        noise = np.random.default_rng(len(self.depths)).uniform(-4e-7, 4e-7, (len(queries), self.ntotal))
        scores = (queries @ vectors.T + noise).astype(np.float32)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, order, axis=1), order


def search_elsewhere(vectors):
    search = VectorSearch(build_vector_index(vectors))
    search._gpu_index = OtherRounding(search._vectors)
    return search


@at_most(40)
@given(
    picks=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    asked=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    k=st.integers(0, 70),
)
def test_equal_vectors_come_in_the_order_of_their_rows_on_any_device(picks, asked, k):
    few = random_vectors(8)
    vectors, queries = few[picks], few[asked]
    expected = brute_force(vectors, queries, min(k, len(vectors)))
    here = VectorSearch(build_vector_index(vectors)).nearest_rows(queries, k)
    assert here.tolist() == expected.tolist()
    assert search_elsewhere(vectors).nearest_rows(queries, k).tolist() == expected.tolist()


def test_faiss_alone_would_order_ties_otherwise():
    """The reason for the comparison in float64: this fails where FAISS's own order is used."""
    vectors = np.repeat(random_vectors(3), 40, axis=0)
    rows = VectorSearch(build_vector_index(vectors)).nearest_rows(vectors[:1], 30)[0]
    assert rows.tolist() == list(range(30))
    elsewhere = OtherRounding(build_vector_index(vectors))
    assert elsewhere.search(vectors[:1], 30)[1][0].tolist() != list(range(30))


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_order_does_not_depend_on_the_batch(batch):
    vectors, queries = random_vectors(500, 64), random_vectors(64, 64, seed=2)
    search = VectorSearch(build_vector_index(vectors))
    whole = search.nearest_rows(queries, 10)
    parts = [search.nearest_rows(queries[i : i + batch], 10) for i in range(0, len(queries), batch)]
    assert np.concatenate(parts).tolist() == whole.tolist() == brute_force(vectors, queries, 10).tolist()


def test_a_query_without_direction_gets_the_first_rows():
    vectors = random_vectors(100)
    assert VectorSearch(build_vector_index(vectors)).nearest_rows(np.zeros((1, 16), np.float32), 5).tolist() == [
        [0, 1, 2, 3, 4]
    ]


def test_ties_alone_make_the_search_deeper():
    search = search_elsewhere(random_vectors(3000))
    search.nearest_rows(random_vectors(20, seed=2), 5)
    assert search._gpu_index.depths == [5 + vector_search._EXTRA_CANDIDATES]


def test_what_is_too_deep_for_a_gpu_is_searched_on_the_cpu():
    vectors = np.repeat(random_vectors(1), 9000, axis=0)
    search = search_elsewhere(vectors)
    assert search.nearest_rows(vectors[:1], 5).tolist() == [[0, 1, 2, 3, 4]]
    assert max(search._gpu_index.depths) <= 2048
    assert search.nearest_rows(vectors[:1], 3000).tolist() == [list(range(3000))]


class Resources:
    """FAISS's resources of a GPU."""

    def setTempMemory(self, n_bytes):  # noqa: N802 - FAISS's name
        self.n_bytes = n_bytes


def test_on_a_gpu_faiss_gets_a_copy_of_the_index_and_little_memory(monkeypatch):
    moved = []
    monkeypatch.setattr(faiss, "StandardGpuResources", Resources, raising=False)
    monkeypatch.setattr(
        faiss, "index_cpu_to_gpu", lambda *told: moved.append(told) or OtherRounding(told[2]), raising=False
    )
    vectors = random_vectors(50)
    index = build_vector_index(vectors)
    search = VectorSearch(index, "cuda")
    ((resources, gpu, what),) = moved
    assert (gpu, what) == (0, index)
    assert resources.n_bytes == 256 * 1024**2
    assert search.nearest_rows(vectors[:3], 4).tolist() == brute_force(vectors, vectors[:3], 4).tolist()
    assert search._gpu_index.depths == [20]
    VectorSearch(index, "cpu")
    assert len(moved) == 1


@pytest.mark.parametrize(
    ("build", "n_gpus", "given", "expected"),
    [
        ("cpu", 0, 1, {"auto": "cpu", "cpu": "cpu", "cuda": "a FAISS for CPUs"}),
        ("gpu", 0, 1, {"auto": "cpu", "cpu": "cpu", "cuda": "none that it sees"}),
        ("gpu", 1, 1, {"auto": "cuda", "cpu": "cpu", "cuda": "cuda"}),
        ("gpu", 1, 0.5, {"auto": "cuda", "cpu": "cpu", "cuda": "cuda"}),
        ("gpu", 1, 0, {"auto": "cpu", "cpu": "cpu", "cuda": "cpu"}),  # Ray gave this process no GPU
    ],
)
def test_the_device_is_that_of_the_setting_if_it_is_there(monkeypatch, build, n_gpus, given, expected):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    if build == "gpu":
        monkeypatch.setattr(faiss, "StandardGpuResources", Resources, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: n_gpus, raising=False)
    for name, found in expected.items():
        if found in ("cpu", "cuda"):
            assert resolve_faiss_device(name, given) == found
        else:
            with pytest.raises(ConfigError, match=f"^index.device: expected a GPU for FAISS, found {found}"):
                resolve_faiss_device(name, given)


def test_a_process_without_a_gpu_does_not_ask_for_those_of_the_machine(monkeypatch):
    monkeypatch.setattr(vector_search, "count_faiss_gpus", lambda: pytest.fail("asked"))
    assert resolve_faiss_device("auto", 0) == "cpu"


def test_clustering_characters_gets_the_gpus_of_the_small_models_workers():
    from rayner.config.loading import load_config
    from rayner.taggers.families import make_tagger_family

    settings = ["slm.family=crf", "slm.workers.gpus=1", "index.encoder=ngrams"]
    plain, clustering = (load_config(None, [*settings, *more]).slm for more in ([], ["slm.crf.unlabelled=a"]))
    assert make_tagger_family(plain, faiss_device="auto").gpus == 0
    assert make_tagger_family(clustering, faiss_device="auto").gpus == 1
    assert make_tagger_family(clustering, faiss_device="cpu").gpus == 0


def test_the_faiss_that_is_installed_here_sees_no_gpu_that_torch_does_not():
    import torch

    assert count_faiss_gpus() <= torch.cuda.device_count()


def test_clusters_are_those_of_faiss_and_the_same_twice():
    vectors = random_vectors(400)
    found = cluster_vectors(vectors, 8, seed=3)
    kmeans = faiss.Kmeans(16, 8, niter=25, seed=3, spherical=True, min_points_per_centroid=1)
    kmeans.train(vectors)
    assert found.tolist() == kmeans.index.search(vectors, 1)[1][:, 0].tolist()
    assert found.tolist() == cluster_vectors(vectors, 8, seed=3).tolist()


def test_k_means_is_asked_to_use_a_gpu_on_one_alone(monkeypatch):
    right, told = faiss.Kmeans, []

    def make(*arguments, gpu=False, **options):
        told.append(gpu)
        return right(*arguments, **options)

    monkeypatch.setattr(vector_search.faiss, "Kmeans", make)
    for device in ("cpu", "cuda"):
        cluster_vectors(random_vectors(50), 4, 1, device)
    assert told == [False, 1]


def test_without_any_faiss_the_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.delitem(sys.modules, "rayner.modeling.vector_search")
    with pytest.raises(ConfigError, match=r"^faiss: expected one of the packages faiss-cpu .* and faiss-gpu"):
        importlib.import_module("rayner.modeling.vector_search")
