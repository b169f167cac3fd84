"""The one interface of every fusion rule.

The rules: by conflict regions (`region_rule.RegionRule`, lambda tuned), by spans (`span_rule.SpanRule`, learned), and
users' own (`custom_rule.FittedCustomRule`). `artifact.TunedFusion` says which of them a run uses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.lexicon import Lexicon
from rayner.fusion.weight_search import WeightCurve
from rayner.text.predictions import SegmentPrediction, SlmPrediction


@dataclass(frozen=True)
class FittingSample:
    """Labelled segments that both models answered, and all else that rules are fitted with.

    types: entity types, in the order of the SLM's labels.
    lexicon: of the training sentences.
    fold_lexicons: by `doc_id`, the lexicons for segments whose tags `lexicon` holds.
    weights: the values of lambda to try, [n_weights], rising.
    ridge: the penalty on the weights of the learned rule.
    """

    segments: Sequence[SegmentPrediction]
    types: tuple[str, ...]
    lexicon: Lexicon
    fold_lexicons: Mapping[str, Lexicon]
    weights: npt.NDArray[np.float64]
    ridge: float

    def with_segments(self, segments: Sequence[SegmentPrediction]) -> "FittingSample":
        """Return the same sample with other segments."""
        return replace(self, segments=segments)

    def lexicon_for(self, segment: SegmentPrediction) -> Lexicon:
        """Return the lexicon that does not hold the segment's own tags."""
        return self.fold_lexicons.get(segment.doc_id, self.lexicon)


@dataclass(frozen=True)
class RuleFit:
    """A fitted rule, and F1 at each lambda if the rule has one."""

    rule: "FusionRule"
    curve: WeightCurve | None = None


class FusionRule(Protocol):
    """What every fusion rule can do. Rules are values: frozen, and equal if they decide alike."""

    @property
    def name(self) -> str:
        """The rule's name in the setting `fusion.rules`."""

    def fit(self, sample: FittingSample) -> RuleFit:
        """Fit a rule of the same kind, with the same choices (such as reductions), to labelled segments."""

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the fused entities of a segment, in order; without an LLM answer, the SLM's."""

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could change the output; if not, the LLM need not be asked."""

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_] | None:
        """Return the slots at which decoding may stop (`gate.stop_mask`), [n_chars + 1]; None: read it all."""

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return how unsure the SLM is about each character's block (`gate.block_entropy`), [n_chars], nats."""

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "FusionRule":
        """Return the rule without what it knows of the segment's tags from elsewhere, to judge it on that segment."""

    def summary(self) -> dict[str, Any]:
        """Describe the rule in JSON values for `run.json`, without bulky tables."""

    def to_json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return what was fitted, as JSON values; each class has a `from_json` that reads it."""


def llm_could_change(segment: SegmentPrediction, rule: FusionRule) -> bool:
    """Say whether some LLM answer could change a segment's output: as the gate decided under this rule, if it did."""
    decided = segment.gate.could_change if segment.gate else None
    return rule.could_change(segment) if decided is None else decided
