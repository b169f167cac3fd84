"""The choice of a prompt's examples: similar sentences, a few fixed sentences, or none (method, section 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.llm.index import SentenceIndex
from rayner.llm.prompts import choose_examples_covering_types
from rayner.llm.sentence_encoders import AnySentenceEncoder
from rayner.text.labelled_text import LabelledSentence


class ExampleRetriever:
    """Finds the examples of prompts. A text is never its own example, and neither is an exact duplicate of it.

    Nor is a sentence an example of its own windows, if `max_chars` is the size of the windows: a sentence that is cut
    into windows is too long for an example.

    Args:
        method: `similar` (the k nearest training sentences), `fixed` (the same k sentences for every text) or `none`.
        k: The number of examples in a prompt.
        train_sentences: The training sentences that `fixed` chooses from.
        encoder: The sentence encoder; needed for `similar`.
        index: The index of training sentences; needed for `similar`.
        batch_size: The number of texts that the encoder takes at once.
        max_chars: Longer sentences are never examples; None for no limit.

    """

    def __init__(
        self,
        method: str,
        k: int,
        train_sentences: Sequence[LabelledSentence],
        encoder: AnySentenceEncoder | None = None,
        index: SentenceIndex | None = None,
        batch_size: int = 64,
        max_chars: int | None = None,
    ) -> None:
        self.k, self.encoder, self.index, self.batch_size, self.max_chars = k, encoder, index, batch_size, max_chars
        # Drop duplicates. Choose k + 1 examples, because a text that is one of them needs another one.
        distinct: dict[str, LabelledSentence] = {}
        for sentence in train_sentences:
            if max_chars is None or len(sentence.text) <= max_chars:
                distinct.setdefault(sentence.text.strip(), sentence)
        self.fixed = choose_examples_covering_types(distinct.values(), k + 1) if method == "fixed" else []

    def find_examples(self, texts: Sequence[str]) -> list[list[LabelledSentence]]:
        """Return the examples of each text, the most similar first."""
        return self.find_shared_examples([(text,) for text in texts])

    def find_shared_examples(
        self,
        text_groups: Sequence[tuple[str, ...]],
        known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> list[list[LabelledSentence]]:
        """Return the examples that the texts of each group share, the most similar first.

        With `similar`, they are the sentences nearest to the mean of the group's sentence vectors. A text of the group
        is never an example of its group.

        Args:
            text_groups: The groups of texts.
            known_vectors: {text: sentence vector} of texts that need not be encoded again.

        """
        if self.encoder is None or self.index is None or not text_groups:
            groups = [{text.strip() for text in group} for group in text_groups]
            return [[each for each in self.fixed if each.text.strip() not in group][: self.k] for group in groups]
        texts = list(dict.fromkeys(text for group in text_groups for text in group))
        vectors = dict(known_vectors or {})
        new_texts = [text for text in texts if text not in vectors]
        vectors.update(zip(new_texts, self.encoder.embed(new_texts, self.batch_size), strict=True))
        means = np.stack([np.stack([vectors[text] for text in group]).mean(axis=0) for group in text_groups])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return self.index.nearest_sentences(means, text_groups, self.k, self.max_chars)
