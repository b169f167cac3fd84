"""Similar sentences: embeddings of a configured encoder in FAISS (method, section 3)."""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoModel

from rayner.corpus.labelled_sentences import read_labelled_sentences, write_labelled_sentences
from rayner.errors import ConfigError, DataError
from rayner.modeling.batching import inference_batches
from rayner.modeling.checkpoint import checkpoint_error, safe_load_options
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.modeling.training import mean_unit_vectors, pad_rows
from rayner.runs.run_folder import folder_sha256
from rayner.text.labelled_text import LabelledSentence


@dataclass
class SentenceEncoder:
    """A sentence encoder: mean of the last hidden states over the characters' tokens, at length 1."""

    model: Any
    tokenizer: CharTokenizer
    device: torch.device

    @property
    def dimensions(self) -> int:
        """Dimensions of a vector."""
        return int(self.model.config.hidden_size)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], batch_size: int) -> npt.NDArray[np.float32]:
        """Embeddings [n_texts, hidden] in the order of the texts, of length 1.

        Only as many characters count as the encoder takes: a query's vector, never the text itself, is cut.
        """
        limit = int(getattr(self.model.config, "max_position_embeddings", 512)) - 2
        rows = [[token for char in self.tokenizer.encode_chars(text) for token in char][:limit] for text in texts]
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for part in inference_batches([len(row) for row in rows], batch_size):
            out[part] = self._mean([rows[i] for i in part])
        return out

    def _mean(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        tokenizer = self.tokenizer.tokenizer
        framed = [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in rows]
        tokens = pad_rows(framed, tokenizer.pad_token_id).to(self.device)
        mask = pad_rows([[1] * len(row) for row in framed], 0).to(self.device)
        inner = pad_rows([[0, *[1] * len(row), 0] for row in rows], 0).to(self.device)
        return mean_unit_vectors(self.model(input_ids=tokens, attention_mask=mask).last_hidden_state, inner)


@dataclass(frozen=True)
class NgramEncoder:
    """A sentence's characters and pairs of neighbours, counted, hashed into a vector; no model is needed.

    Counts enter by their square root, and each feature by a sign of its own, so that collisions cancel out on average.
    """

    dimensions: int = 512

    def embed(self, texts: Sequence[str], batch_size: int) -> npt.NDArray[np.float32]:
        """Vectors [n_texts, size] in the order of the texts, of length 1 (0 for an empty text)."""
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            for gram, n in Counter([*text, *map("".join, pairwise(text))]).items():
                code = zlib.crc32(gram.encode())
                row[code % self.dimensions] += math.sqrt(n) if code >> 31 else -math.sqrt(n)
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        return out


AnySentenceEncoder = SentenceEncoder | NgramEncoder


def load_sentence_encoder(folder: str | Path, device: torch.device) -> SentenceEncoder:
    """The encoder of a checkpoint (a task head, if it has one, is left out). Raises ConfigError if there is none."""
    try:
        model = AutoModel.from_pretrained(str(folder), **safe_load_options(folder))
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error
    return SentenceEncoder(model.to(device).eval(), CharTokenizer(load_tokenizer(folder)), device)


@dataclass
class SentenceIndex:
    """Training sentences with their vectors (inner product of vectors of length 1: the cosine)."""

    vectors: Any
    sentences: list[LabelledSentence]

    def nearest_sentences(
        self, queries: npt.NDArray[np.float32], excluded_texts: Sequence[Sequence[str]], k: int
    ) -> list[list[LabelledSentence]]:
        """The k examples most similar to each query, most similar first.

        None of them is a text of the query's group or an exact duplicate of one, or twice the same sentence.
        """
        if not len(excluded_texts) or not k:
            return [[] for _ in excluded_texts]
        found: list[list[LabelledSentence]] = [[] for _ in excluded_texts]
        waiting, depth = list(range(len(excluded_texts))), 2 * k + max(map(len, excluded_texts))
        while waiting:
            depth = min(depth, len(self.sentences))
            _, ids = self.vectors.search(queries[waiting], depth)
            for i, row in zip(waiting, ids, strict=True):
                distinct: dict[str, LabelledSentence] = {}
                for j in row:
                    distinct.setdefault(self.sentences[j].text, self.sentences[j])
                found[i] = [example for text, example in distinct.items() if text not in excluded_texts[i]][:k]
            waiting = [i for i in waiting if len(found[i]) < k] if depth < len(self.sentences) else []
            depth *= 4  # so many duplicates stood in the way: look further
        return found


def build_sentence_index(
    encoder: AnySentenceEncoder, examples: Sequence[LabelledSentence], batch_size: int
) -> SentenceIndex:
    """An index of the examples. Raises ConfigError without any."""
    if not examples:
        raise ConfigError("the index needs at least one training sentence")
    vectors = faiss.IndexFlatIP(encoder.dimensions)
    vectors.add(encoder.embed([example.text for example in examples], batch_size))
    return SentenceIndex(vectors, list(examples))


def save_sentence_index(index: SentenceIndex, folder: Path) -> None:
    """Write `vectors.faiss` and `examples.jsonl` (text and spans of each, in order of the vectors)."""
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index.vectors, str(folder / "vectors.faiss"))
    write_labelled_sentences(folder / "examples.jsonl", index.sentences)


def load_sentence_index(folder: Path, digest: str | None = None) -> SentenceIndex:
    """Read an index back. Raises ConfigError if its two files do not fit each other.

    digest: of the folder as its maker recorded it, looked at before FAISS, which trusts its files, opens one.
        Raises DataError if it is another.
    """
    found = folder_sha256(folder) if digest is not None else None
    if found != digest:
        raise DataError(
            f"{folder / 'vectors.faiss'}: expected the index that build_index made (SHA-256 of its folder {digest}), "
            f"found another ({found})"
        )
    try:
        vectors = faiss.read_index(str(folder / "vectors.faiss"))
        examples = read_labelled_sentences(folder / "examples.jsonl")
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{folder}: expected an index, found: {' '.join(str(error).split())}") from error
    if vectors.ntotal != len(examples):
        raise ConfigError(f"{folder}: {vectors.ntotal} vectors but {len(examples)} sentences")
    return SentenceIndex(vectors, examples)
