"""Which examples stand in a prompt: similar ones, a fixed few, or none (method, section 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.llm.index import AnySentenceEncoder, SentenceIndex
from rayner.llm.prompts import choose_fixed_examples
from rayner.text.labelled_text import LabelledSentence


class ExampleRetriever:
    """Examples for texts.

    how: `similar` (the k nearest training sentences, which needs encoder and index), `fixed` (the same k for
    every text) or `none`. A text is never shown itself or an exact duplicate.
    """

    def __init__(
        self,
        how: str,
        k: int,
        train: Sequence[LabelledSentence],
        encoder: AnySentenceEncoder | None = None,
        index: SentenceIndex | None = None,
        batch_size: int = 64,
    ) -> None:
        self.k, self.encoder, self.index, self.batch_size = k, encoder, index, batch_size
        # Each sentence once, and one to spare, for the text that is itself among them.
        distinct: dict[str, LabelledSentence] = {}
        for example in train:
            distinct.setdefault(example.text, example)
        self.fixed = choose_fixed_examples(distinct.values(), k + 1) if how == "fixed" else []

    def find_examples(self, texts: Sequence[str]) -> list[list[LabelledSentence]]:
        """The examples of each text, the most fitting first."""
        return self.find_group_examples([(text,) for text in texts])

    def find_group_examples(
        self, groups: Sequence[Sequence[str]], known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None
    ) -> list[list[LabelledSentence]]:
        """The examples that each group of texts shares: the nearest to the mean of its vectors, none of them in it.

        known: vectors of texts that need not be embedded again.
        """
        if self.encoder is None or self.index is None or not groups:
            return [[e for e in self.fixed if e.text not in group][: self.k] for group in groups]
        distinct = list(dict.fromkeys(text for group in groups for text in group))
        vectors = dict(known_vectors or {})
        new = [text for text in distinct if text not in vectors]
        vectors.update(zip(new, self.encoder.embed(new, self.batch_size), strict=True))
        means = np.stack([np.stack([vectors[text] for text in group]).mean(axis=0) for group in groups])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return self.index.nearest_sentences(means, groups, self.k)
