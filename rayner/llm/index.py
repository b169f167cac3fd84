"""The index of training sentences: their vectors in FAISS, searched for the sentences most similar to a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rayner.corpus.labelled_sentences import read_labelled_sentences, write_labelled_sentences
from rayner.errors import ConfigError, DataError
from rayner.llm.sentence_encoders import AnySentenceEncoder
from rayner.runs.run_folder import folder_sha256
from rayner.text.labelled_text import LabelledSentence

_VECTORS_FILE, _SENTENCES_FILE = "vectors.faiss", "examples.jsonl"


@dataclass
class SentenceIndex:
    """Training sentences with their vectors.

    vectors: a FAISS index of inner products, which are cosines, since the vectors have length 1.
    """

    vectors: Any
    sentences: list[LabelledSentence]

    def nearest_sentences(
        self, queries: npt.NDArray[np.float32], excluded_texts: Sequence[tuple[str, ...]], k: int
    ) -> list[list[LabelledSentence]]:
        """Return for each query the k most similar sentences, the most similar first, each text once.

        queries: [n_queries, dimensions]. excluded_texts: [n_queries] the texts that must not be returned for a query,
        whole texts, however often they are in the index.
        """
        if not len(excluded_texts) or not k:
            return [[] for _ in excluded_texts]
        nearest: list[list[LabelledSentence]] = [[] for _ in excluded_texts]
        pending, depth = list(range(len(excluded_texts))), 2 * k + max(map(len, excluded_texts))
        while pending:
            depth = min(depth, len(self.sentences))
            _, rows = self.vectors.search(queries[pending], depth)
            for i, row in zip(pending, rows, strict=True):
                distinct: dict[str, LabelledSentence] = {}
                for j in row:
                    distinct.setdefault(self.sentences[j].text, self.sentences[j])
                nearest[i] = [sentence for text, sentence in distinct.items() if text not in excluded_texts[i]][:k]
            pending = [i for i in pending if len(nearest[i]) < k] if depth < len(self.sentences) else []
            depth *= 4  # duplicates and excluded texts filled the places: search further
        return nearest


def build_sentence_index(
    encoder: AnySentenceEncoder, sentences: Sequence[LabelledSentence], batch_size: int
) -> SentenceIndex:
    """Build an index of labelled sentences. Raises ConfigError where there are none."""
    if not sentences:
        raise ConfigError("the index needs at least one training sentence")
    vectors = faiss.IndexFlatIP(encoder.dimensions)
    vectors.add(encoder.embed([sentence.text for sentence in sentences], batch_size))
    return SentenceIndex(vectors, list(sentences))


def check_and_count_self_nearest(
    index: SentenceIndex, encoder: AnySentenceEncoder, texts: Sequence[str], k: int, batch_size: int
) -> int:
    """Search an index for texts that it holds, and return for how many of them the nearest sentence is the text itself.

    Raises RuntimeError where `nearest_sentences` gives a text as its own neighbour, or fewer sentences than there are.
    """
    queries = encoder.embed(texts, batch_size)
    _, rows = index.vectors.search(queries, 1)
    n_itself_nearest: int = sum(index.sentences[row[0]].text == text for row, text in zip(rows, texts, strict=True))
    n_others = len({sentence.text for sentence in index.sentences}) - 1
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
    """Write `vectors.faiss` and `examples.jsonl` (text and entities of each sentence, in the order of the vectors)."""
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index.vectors, str(folder / _VECTORS_FILE))
    write_labelled_sentences(folder / _SENTENCES_FILE, index.sentences)


def load_sentence_index(folder: Path, expected_digest: str | None = None) -> SentenceIndex:
    """Read an index.

    expected_digest: SHA-256 of the folder as the step `build_index` recorded it. It is checked before FAISS opens
        a file, because FAISS trusts its files.
    Raises DataError where the digest differs, ConfigError where the folder holds no index or its files do not fit.
    """
    found_digest = folder_sha256(folder) if expected_digest is not None else None
    if found_digest != expected_digest:
        raise DataError(
            f"{folder / _VECTORS_FILE}: expected the index that build_index made "
            f"(SHA-256 of its folder {expected_digest}), "
            f"found another ({found_digest})"
        )
    try:
        vectors = faiss.read_index(str(folder / _VECTORS_FILE))
        sentences = read_labelled_sentences(folder / _SENTENCES_FILE)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{folder}: expected an index, found: {' '.join(str(error).split())}") from error
    if vectors.ntotal != len(sentences):
        raise ConfigError(f"{folder}: {vectors.ntotal} vectors but {len(sentences)} sentences")
    return SentenceIndex(vectors, sentences)
