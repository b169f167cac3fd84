"""The common interface of all fusion rules.

- `character_rule.CharacterRule` decides by characters, as the paper does; its lambda is tuned.
- `region_rule.RegionRule` decides by conflict regions; its lambda is tuned.
- `learned.span_rule.SpanRule` decides by spans; its weights are learned.
- `learned.document_rule.DocumentRule` decides by spans and by the rest of the document; its weights are learned.
- `custom_rule.FittedCustomRule` is a user's own rule.

`artifact.TunedFusion` says which rule a run uses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.weight_search import WeightCurve
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span


@dataclass(frozen=True)
class FittingSample:
    """Labelled segments that both models answered, and the other inputs for fitting a rule.

    types: entity types, in the order of the SLM's labels.
    lexicon: the strings tagged in the training sentences.
    fold_lexicons: lexicons by `doc_id`, for segments whose own tags are in `lexicon`.
    weights: values of lambda to try, rising, shape [n_weights].
    ridge: penalty on the weights of the learned rule.
    """

    segments: Sequence[SegmentPrediction]
    types: tuple[str, ...]
    lexicon: Lexicon
    fold_lexicons: Mapping[str, Lexicon]
    weights: npt.NDArray[np.float64]
    ridge: float

    @property
    def gold_by_segment(self) -> list[Sequence[Span]]:
        """The gold entities of each segment."""
        return [segment.gold for segment in self.segments]

    def with_segments(self, segments: Sequence[SegmentPrediction]) -> "FittingSample":
        """Return the same sample with other segments."""
        return replace(self, segments=segments)

    def lexicon_for(self, segment: SegmentPrediction) -> Lexicon:
        """Return the lexicon that does not contain the segment's own tags."""
        return self.fold_lexicons.get(segment.doc_id, self.lexicon)


@dataclass(frozen=True)
class RuleFit:
    """A fitted rule. `curve` is the F1 at each lambda of a rule by regions, and None for other rules."""

    rule: "FusionRule"
    curve: WeightCurve | None = None


class FusionRule(Protocol):
    """The interface of every fusion rule. Rules are frozen values, and two rules that decide alike are equal."""

    @property
    def name(self) -> str:
        """The rule's name in the setting `fusion.rules`."""

    def fit(self, sample: FittingSample) -> RuleFit:
        """Fit a rule of the same kind and with the same choices (such as reductions) to labelled segments."""

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the fused entities of a segment, in text order; the SLM's if there is no LLM answer."""

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Return the fused entities of each segment, as `decide`. A rule may also read the rest of its document."""

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could change the output. If not, the LLM need not be asked."""

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_] | None:
        """Return the slots at which decoding may stop (`gate.stop_mask`), shape [n_chars + 1].

        A slot is a position between two characters. None means that whole answers are read.
        """

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the SLM's entropy in each character's block (`gate.block_entropy`), shape [n_chars], nats."""

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "FusionRule":
        """Return the rule without this segment's tags, so that it can be judged on the segment."""

    def summary(self) -> dict[str, Any]:
        """Describe the rule as JSON values for `run.json`, without large tables."""

    def to_json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return what was fitted, as JSON values. Each class has a `from_json` that reads them."""


def llm_could_change(segment: SegmentPrediction, rule: FusionRule) -> bool:
    """Say whether some LLM answer could change a segment's output.

    If the gate has already decided this under the rule, return its decision.
    """
    decided = segment.gate.could_change if segment.gate else None
    return rule.could_change(segment) if decided is None else decided
