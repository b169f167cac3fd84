"""Sentence encoders: they compute the sentence vectors by which similar sentences are found (method, section 3)."""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoModel

from rayner.modeling.batching import inference_batches
from rayner.modeling.checkpoint import checkpoint_error, reject_pickles_and_build_kwargs
from rayner.modeling.finite_weights import require_finite_weights
from rayner.modeling.tensors import mean_unit_vectors, pad_rows
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.runs.heartbeat import beat


@dataclass
class SentenceEncoder:
    """A BERT-like model that computes sentence vectors.

    The vector of a sentence is the mean of the last hidden states of its characters' tokens, scaled to L2 norm 1.
    """

    model: Any
    tokenizer: CharTokenizer
    device: torch.device

    @property
    def dimensions(self) -> int:
        """The number of dimensions of a vector."""
        return int(self.model.config.hidden_size)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], batch_size: int) -> npt.NDArray[np.float32]:
        """Return the vectors of texts, shape [n_texts, dimensions], L2 norm 1, in the order of the texts.

        The vector of a text with more tokens than the model takes is that of its beginning.
        """
        max_tokens = int(getattr(self.model.config, "max_position_embeddings", 512)) - 2
        rows = [[token for char in self.tokenizer.encode_chars(text) for token in char][:max_tokens] for text in texts]
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for batch in inference_batches([len(row) for row in rows], batch_size):
            beat()
            vectors[batch] = self._embed_batch([rows[i] for i in batch])
        return vectors

    def _embed_batch(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        tokenizer = self.tokenizer.tokenizer
        with_specials = [[tokenizer.cls_token_id, *row, tokenizer.sep_token_id] for row in rows]
        tokens = pad_rows(with_specials, tokenizer.pad_token_id).to(self.device)
        mask = pad_rows([[1] * len(row) for row in with_specials], 0).to(self.device)
        char_mask = pad_rows([[0, *[1] * len(row), 0] for row in rows], 0).to(self.device)
        return mean_unit_vectors(self.model(input_ids=tokens, attention_mask=mask).last_hidden_state, char_mask)


@dataclass(frozen=True)
class NgramEncoder:
    """A sentence encoder that needs no model: it counts characters and bigrams, hashed into a vector.

    Each count enters as its square root. A hash gives each feature a sign, so that collisions cancel on average.
    """

    dimensions: int = 512

    def embed(self, texts: Sequence[str], batch_size: int) -> npt.NDArray[np.float32]:
        """Return the vectors of texts, shape [n_texts, dimensions], in the order of the texts.

        The L2 norm of a vector is 1, or 0 for an empty text.
        """
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for ngram, n in Counter([*text, *map("".join, pairwise(text))]).items():
                code = zlib.crc32(ngram.encode())
                vector[code % self.dimensions] += math.sqrt(n) if code >> 31 else -math.sqrt(n)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


AnySentenceEncoder = SentenceEncoder | NgramEncoder


def load_sentence_encoder(folder: str | Path, device: torch.device) -> SentenceEncoder:
    """Load the encoder of a checkpoint, without its task head if it has one.

    Raises:
        ConfigError: The checkpoint cannot be loaded.
        NotFiniteError: A weight is NaN or infinite.

    """
    try:
        model = AutoModel.from_pretrained(str(folder), **reject_pickles_and_build_kwargs(folder))
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error
    model = model.to(device).eval()
    require_finite_weights(model, folder)
    return SentenceEncoder(model, CharTokenizer(load_tokenizer(folder)), device)
