"""The choice of a prompt's examples: similar sentences, a fixed few, or none (method, section 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.llm.index import SentenceIndex
from rayner.llm.prompts import choose_examples_covering_types
from rayner.llm.sentence_encoders import AnySentenceEncoder
from rayner.text.labelled_text import LabelledSentence


class ExampleRetriever:
    """Finds the examples of prompts. A text never gets itself or an exact duplicate of itself.

    method: `similar` (the k nearest training sentences, which needs encoder and index), `fixed` (the same k for every
        text) or `none`. batch_size: texts that the encoder takes at once.
    """

    def __init__(
        self,
        method: str,
        k: int,
        train_sentences: Sequence[LabelledSentence],
        encoder: AnySentenceEncoder | None = None,
        index: SentenceIndex | None = None,
        batch_size: int = 64,
    ) -> None:
        self.k, self.encoder, self.index, self.batch_size = k, encoder, index, batch_size
        # Each sentence once, and one to spare, for a text that is among them itself.
        distinct: dict[str, LabelledSentence] = {}
        for sentence in train_sentences:
            distinct.setdefault(sentence.text, sentence)
        self.fixed = choose_examples_covering_types(distinct.values(), k + 1) if method == "fixed" else []

    def find_examples(self, texts: Sequence[str]) -> list[list[LabelledSentence]]:
        """Return the examples of each text, the most similar first."""
        return self.find_shared_examples([(text,) for text in texts])

    def find_shared_examples(
        self,
        text_groups: Sequence[tuple[str, ...]],
        known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> list[list[LabelledSentence]]:
        """Return the examples that each group of texts shares, the most similar first.

        They are the sentences nearest to the mean of the group's vectors; none is a text of the group.

        known_vectors: by text, those that need not be computed again.
        """
        if self.encoder is None or self.index is None or not text_groups:
            return [[example for example in self.fixed if example.text not in group][: self.k] for group in text_groups]
        texts = list(dict.fromkeys(text for group in text_groups for text in group))
        vectors = dict(known_vectors or {})
        new_texts = [text for text in texts if text not in vectors]
        vectors.update(zip(new_texts, self.encoder.embed(new_texts, self.batch_size), strict=True))
        means = np.stack([np.stack([vectors[text] for text in group]).mean(axis=0) for group in text_groups])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return self.index.nearest_sentences(means, text_groups, self.k)
