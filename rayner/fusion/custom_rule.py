"""A user's own fusion rule: three functions and the value that they fitted on held-out sentences (docs/extending.md).

This package never imports user code. The caller that reads the settings loads the `CustomRule` and passes it in.

The gate skips the LLM where it could not change the result. A user's functions cannot make the gate wrong, because
`could_change` sees only the SLM's prediction. Where it returns False, the SLM's entities are the output, whether or not
the LLM was asked.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rayner.errors import ConfigError
from rayner.fusion import gate
from rayner.fusion.fused_entities import FusedEntity, build_accepted_entities, slm_entities
from rayner.fusion.fusion_rule import FittingSample, RuleFit, llm_could_change
from rayner.fusion.learned.span_features import candidate_spans
from rayner.text.messages import shorten_repr
from rayner.text.predictions import SegmentPrediction, SlmPrediction
from rayner.text.spans import Span, sort_and_check_spans

SETTING = "fusion.rules"  # for messages


def _always(segment: SegmentPrediction, fitted: Any) -> bool:  # noqa: ANN401 - see CustomRule
    return True


@dataclass(frozen=True)
class CustomRule:
    """The object that `module:name` in `fusion.rules` must be.

    fit: takes segments that both models answered, with `gold`, and the entity types. It returns what the rule needs, as
        a JSON value. For cross-validation it is called once for each part of the segments, without that part, and the
        rule is judged on the part.
    accept: takes a segment that both models answered and the fitted value. It returns the entities, without overlaps.
        Each entity must be among `learned.span_features.candidate_spans` (spans that either model predicts or the SLM
        finds likely).
    could_change: takes a segment without an LLM answer and the fitted value. It says whether some LLM answer could give
        other entities than the SLM's. The default asks the LLM about every segment.

    All three are called for the rule's control too, with segments whose LLM answer is empty (`control`). The functions
    must be deterministic and free of side effects.
    """

    fit: Callable[[Sequence[SegmentPrediction], Sequence[str]], Any]
    accept: Callable[[SegmentPrediction, Any], Sequence[Span]]
    could_change: Callable[[SegmentPrediction, Any], bool] = _always


@dataclass(frozen=True)
class FittedCustomRule:
    """A user's rule as a fusion rule.

    name: `module:name`, as in `fusion.rules`.
    functions: the `CustomRule` of that name.
    types: entity types.
    fitted: what `functions.fit` returned; None before.
    """

    name: str
    functions: CustomRule
    types: tuple[str, ...]
    fitted: Any = None

    def fit(self, sample: FittingSample) -> RuleFit:
        """Call the user's `fit`. Raises ConfigError if it does not return a JSON value."""
        fitted = self.functions.fit(sample.segments, sample.types)
        try:
            fitted = json.loads(json.dumps(fitted, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{SETTING}: expected a JSON value from fit of {self.name}, found: {error}") from error
        return RuleFit(replace(self, types=tuple(sample.types), fitted=fitted))

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the user's accepted entities; the SLM's if there is no LLM answer or it could change nothing."""
        if segment.llm is None or not llm_could_change(segment, self):
            return slm_entities(segment.slm)
        return build_accepted_entities(segment, [(span, None) for span in self._accept_and_check_spans(segment)])

    def _accept_and_check_spans(self, segment: SegmentPrediction) -> tuple[Span, ...]:
        """Call the user's `accept` without gold entities.

        Raises ConfigError for spans that overlap, and for spans that are not candidates.
        """
        spans = list(self.functions.accept(replace(segment, gold=(), gate=None), self.fitted))
        candidates = candidate_spans(segment, self.types)
        if unknown := [span for span in spans if span not in candidates]:
            raise ConfigError(
                f"{SETTING}: expected of {self.name} spans among the candidates, found {shorten_repr(unknown[0])}"
            )
        try:
            return sort_and_check_spans(spans, len(segment.text))
        except ValueError as error:
            raise ConfigError(f"{SETTING}: expected of {self.name} spans without overlaps, found: {error}") from error

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Decide each segment by itself."""
        return [self.decide(segment) for segment in segments]

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Call the user's `could_change` without the LLM's answer and without gold entities."""
        return bool(self.functions.could_change(replace(segment, llm=None, gold=(), gate=None), self.fitted))

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_] | None:
        """Return None, because the rule may read whole answers."""
        return None

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the maximal entropy of each character's block (`gate.block_entropy`), shape [n_chars], nats."""
        return gate.block_entropy(slm, "max")

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "FittedCustomRule":
        """Return the rule itself, because it was fitted on other sentences."""
        return self

    def summary(self) -> dict[str, Any]:
        """Describe the rule by its name, types and fitted value."""
        return {"kind": self.name, "name": self.name, "types": list(self.types), "fitted": self.fitted}

    def to_json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return what the user's `fit` returned."""
        return self.fitted

    @classmethod
    def from_json(
        cls,
        tree: Any,  # noqa: ANN401 - any JSON value
        *,
        name: str,
        functions: CustomRule,
        types: Sequence[str],
    ) -> "FittedCustomRule":
        """Build the rule from what `to_json` returned and the user's functions."""
        return cls(name, functions, tuple(types), tree)
