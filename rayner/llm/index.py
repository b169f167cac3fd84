"""The index of training sentences: it finds the sentences most similar to a text by their vectors, with FAISS."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.corpus.labelled_sentences import read_labelled_sentences, write_labelled_sentences
from rayner.errors import ConfigError, DataError, NotFiniteError
from rayner.llm.sentence_encoders import AnySentenceEncoder
from rayner.modeling.vector_search import VectorSearch, build_vector_index, read_vector_index, write_vector_index
from rayner.runs.run_folder import folder_sha256
from rayner.text.labelled_text import LabelledSentence

_VECTORS_FILE, _SENTENCES_FILE = "vectors.faiss", "examples.jsonl"
_CHECKED_VECTORS = 10_000  # vectors that are copied out of the index at a time


@dataclass
class SentenceIndex:
    """Training sentences with their vectors.

    Attributes:
        vectors: A FAISS index of inner products. The inner products are cosines, because the vectors have L2 norm 1.
        sentences: The sentences, in the order of the vectors.
        device: `cpu` or `cuda`, where FAISS searches.

    """

    vectors: Any
    sentences: list[LabelledSentence]
    device: str = "cpu"

    @cached_property
    def search(self) -> VectorSearch:
        """The search for the nearest vectors."""
        return VectorSearch(self.vectors, self.device)

    def nearest_sentences(
        self,
        queries: npt.NDArray[np.float32],
        excluded_texts: Sequence[tuple[str, ...]],
        k: int,
        max_chars: int | None = None,
    ) -> list[list[LabelledSentence]]:
        """Return the k most similar sentences for each query, the most similar first.

        Of several sentences with the same text, at most one is returned. White space at the ends does not make texts
        differ.

        Args:
            queries: The vectors of the queries, shape [n_queries, dimensions].
            excluded_texts: For each query, the texts that must not be returned for it, shape [n_queries]. A sentence is
                excluded if its whole text is one of these.
            k: The number of sentences for each query.
            max_chars: Longer sentences are not returned; None for no limit.

        Raises:
            NotFiniteError: A query holds NaN or infinity. FAISS would find no sentence for it.

        """
        if not np.isfinite(queries).all():
            raise NotFiniteError("expected finite sentence vectors to search the index with, found NaN or infinity")
        if not len(excluded_texts) or not k:
            return [[] for _ in excluded_texts]
        nearest: list[list[LabelledSentence]] = [[] for _ in excluded_texts]
        pending, depth = list(range(len(excluded_texts))), 2 * k + max(map(len, excluded_texts))
        while pending:
            depth = min(depth, len(self.sentences))
            rows = self.search.nearest_rows(queries[pending], depth)
            for i, row in zip(pending, rows, strict=True):
                excluded = {text.strip() for text in excluded_texts[i]}
                distinct: dict[str, LabelledSentence] = {}
                for sentence in (self.sentences[j] for j in row):
                    text = sentence.text.strip()
                    if text not in excluded and (max_chars is None or len(sentence.text) <= max_chars):
                        distinct.setdefault(text, sentence)
                nearest[i] = list(distinct.values())[:k]
            pending = [i for i in pending if len(nearest[i]) < k] if depth < len(self.sentences) else []
            depth *= 4  # duplicates, excluded and long sentences took up the results: search deeper
        return nearest


def build_sentence_index(
    encoder: AnySentenceEncoder, sentences: Sequence[LabelledSentence], batch_size: int
) -> SentenceIndex:
    """Build an index of labelled sentences.

    Raises:
        ConfigError: There are no sentences.
        NotFiniteError: The encoder computes a vector that is not finite.

    """
    if not sentences:
        raise ConfigError("the index needs at least one training sentence")
    embedded = encoder.embed([sentence.text for sentence in sentences], batch_size)
    n_bad = int((~np.isfinite(embedded)).any(axis=1).sum())
    if n_bad:
        raise NotFiniteError(
            f"index.encoder: expected finite sentence vectors, found NaN or infinity for {n_bad} of {len(embedded)} "
            "training sentences: use another encoder, or train it again"
        )
    return SentenceIndex(build_vector_index(embedded), list(sentences))


def check_and_count_self_nearest(
    index: SentenceIndex, encoder: AnySentenceEncoder, texts: Sequence[str], k: int, batch_size: int
) -> int:
    """Search an index for texts that it holds, and count the texts whose nearest sentence is the text itself.

    Raises:
        RuntimeError: `nearest_sentences` returned a text as its own neighbour, or returned too few sentences.

    """
    queries = encoder.embed(texts, batch_size)
    rows = index.search.nearest_rows(queries, 1)
    n_itself_nearest: int = sum(index.sentences[row[0]].text == text for row, text in zip(rows, texts, strict=True))
    n_others = len({sentence.text.strip() for sentence in index.sentences}) - 1
    neighbours = index.nearest_sentences(queries, [(text,) for text in texts], k)
    for text, sentences in zip(texts, neighbours, strict=True):
        if any(sentence.text == text for sentence in sentences):
            raise RuntimeError(f"the index gave the sentence {text!r} as its own neighbour")
        if len(sentences) != min(k, n_others):
            raise RuntimeError(
                f"the index gave {len(sentences)} neighbours of the sentence {text!r}, expected {min(k, n_others)}"
            )
    return n_itself_nearest


def save_sentence_index(index: SentenceIndex, folder: Path) -> None:
    """Write the index to a folder as `vectors.faiss` and `examples.jsonl`.

    `examples.jsonl` has the text and entities of each sentence, in the order of the vectors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_vector_index(index.vectors, folder / _VECTORS_FILE)
    write_labelled_sentences(folder / _SENTENCES_FILE, index.sentences)


def load_sentence_index(folder: Path, expected_digest: str | None = None, device: str = "cpu") -> SentenceIndex:
    """Read an index.

    FAISS does not check the files that it opens. So the digest is compared first.

    Args:
        folder: The folder of the index.
        expected_digest: The SHA-256 of the folder that the step `build_index` recorded. None skips the check.
        device: `cpu` or `cuda`, where FAISS searches.

    Raises:
        DataError: The digest differs.
        ConfigError: The folder holds no index, or the numbers of vectors and sentences differ.
        NotFiniteError: A vector holds NaN or infinity.

    """
    found_digest = folder_sha256(folder) if expected_digest is not None else None
    if found_digest != expected_digest:
        raise DataError(
            f"{folder / _VECTORS_FILE}: expected the index that build_index made "
            f"(SHA-256 of its folder {expected_digest}), "
            f"found another ({found_digest})"
        )
    try:
        vectors = read_vector_index(folder / _VECTORS_FILE)
        sentences = read_labelled_sentences(folder / _SENTENCES_FILE)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{folder}: expected an index, found: {' '.join(str(error).split())}") from error
    if vectors.ntotal != len(sentences):
        raise ConfigError(f"{folder}: {vectors.ntotal} vectors but {len(sentences)} sentences")
    for start in range(0, vectors.ntotal, _CHECKED_VECTORS):
        if not np.isfinite(vectors.reconstruct_n(start, min(_CHECKED_VECTORS, vectors.ntotal - start))).all():
            raise NotFiniteError(
                f"{folder / _VECTORS_FILE}: expected finite vectors, found NaN or infinity: the file is damaged; build "
                "the index again"
            )
    return SentenceIndex(vectors, sentences, device)
