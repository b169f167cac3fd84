"""Which examples stand in a prompt: similar ones, a fixed few, or none (method, section 3)."""

from collections.abc import Sequence

from rayner.models.index import Encoder, Index
from rayner.ner.prompt import Example, fixed_examples


class Retriever:
    """Examples for texts.

    how: `similar` (the k nearest training sentences, which needs encoder and index), `fixed` (the same k for
    every text) or `none`. A text is never shown itself or an exact duplicate.
    """

    def __init__(
        self,
        how: str,
        k: int,
        train: Sequence[Example],
        encoder: Encoder | None = None,
        index: Index | None = None,
        batch_size: int = 64,
    ) -> None:
        self.k, self.encoder, self.index, self.batch_size = k, encoder, index, batch_size
        # Each sentence once, and one to spare, for the text that is itself among them.
        distinct: dict[str, Example] = {}
        for example in train:
            distinct.setdefault(example.text, example)
        self.fixed = fixed_examples(distinct.values(), k + 1) if how == "fixed" else []

    def examples(self, texts: Sequence[str]) -> list[list[Example]]:
        """The examples of each text, the most fitting first."""
        if self.encoder is not None and self.index is not None and texts:
            return self.index.nearest(self.encoder.embed(texts, self.batch_size), texts, self.k)
        return [[example for example in self.fixed if example.text != text][: self.k] for text in texts]
