"""Scores of names that the training text tags somewhere, and of names that it never tags.

Models find most of the names that they were trained on. A text with other names is another matter, so both are scored
apart.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from rayner.evaluation.artifact import NameScores, SeenAndUnseenScores
from rayner.evaluation.metrics import (
    GOLD,
    PREDICTED,
    RIGHT,
    EntityCounts,
    bootstrap_share_interval,
    count_entities,
    micro_score,
    score_by_type,
)
from rayner.text.spans import Span


@dataclass(frozen=True)
class SeenNames:
    """Tells the names that training showed from those that it did not.

    strings: the strings that the training text tags, with any type.
    texts: the text of each sentence to score.
    """

    strings: Container[str]
    texts: Sequence[str]

    def score(
        self, gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str], *, seed: int
    ) -> SeenAndUnseenScores:
        """Score the entities predicted in each sentence. Strict: start, end and type must be right.

        seed: the seed of the bootstrap over sentences.
        """
        counts = count_entities(gold, predicted, types)
        seen = count_entities(self._only_seen(gold), self._only_seen(predicted), types)
        return SeenAndUnseenScores(
            precision_interval=bootstrap_share_interval(counts, RIGHT, PREDICTED, seed=seed),
            recall_interval=bootstrap_share_interval(counts, RIGHT, GOLD, seed=seed),
            seen=_score_names(seen, types, seed),
            unseen=_score_names(counts - seen, types, seed),
        )

    def _only_seen(self, spans_by_sentence: Sequence[Sequence[Span]]) -> list[list[Span]]:
        return [
            [span for span in spans if text[span.start : span.end] in self.strings]
            for text, spans in zip(self.texts, spans_by_sentence, strict=True)
        ]


def _score_names(counts: EntityCounts, types: Sequence[str], seed: int) -> NameScores:
    by_type = score_by_type(counts, types)
    return NameScores(
        micro=micro_score(counts),
        recall_interval=bootstrap_share_interval(counts, RIGHT, GOLD, seed=seed),
        per_type={type_: score for type_, score in by_type.items() if score.gold or score.predicted},
    )
