"""A fusion rule of the user's own: three functions, and what they found on held-out sentences (docs/extending.md).

No answer of its functions can make the exact gate wrong. `can_change` is shown what the small model says, and nothing
else; where it says no, the small model's entities are the output, whether the LLM was asked or not (`deciding.decide`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rayner.config.plugins import load_plugin
from rayner.errors import ConfigError
from rayner.fusion.span_features import candidate_spans
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span, sort_and_check_spans

KEY = "fusion.rules"


def _asks(row: SegmentPrediction, fitted: Any) -> bool:  # noqa: ANN401 - see CustomRule
    return True


@dataclass(frozen=True)
class CustomRule:
    """What `module:name` in `fusion.rules` must be. Its functions give the same for the same, and have no side effects.

    fit: from sentences that both models answered, with `gold`, and the types, what the rule needs, as a JSON value;
        called again without each part of them, to be judged on that part.
    accept: from a segment that both models answered and that value, its entities, free of overlaps, each one that
        either model puts or the small one considers (`candidates`).
    can_change: from a segment without an LLM answer and that value, whether some answer could give other entities than
        the small model's. Without it the LLM is asked about every segment.
    """

    fit: Callable[[Sequence[SegmentPrediction], Sequence[str]], Any]
    accept: Callable[[SegmentPrediction, Any], Sequence[Span]]
    could_change: Callable[[SegmentPrediction, Any], bool] = _asks


@dataclass(frozen=True)
class FittedCustomRule:
    """A CustomRule by its name, the types, and what its `fit` found."""

    name: str
    types: tuple[str, ...]
    fitted: Any


def code(name: str) -> CustomRule:
    """Its functions. Raises ConfigError where the name leads to none."""
    rule: CustomRule = load_plugin(KEY, name, CustomRule, "a CustomRule")
    return rule


def fit(name: str, rows: Sequence[SegmentPrediction], types: Sequence[str]) -> FittedCustomRule:
    """The rule of this name, fitted. Raises ConfigError where it finds what is no JSON value."""
    found = code(name).fit(rows, types)
    try:
        return FittedCustomRule(name, tuple(types), json.loads(json.dumps(found, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{KEY}: expected a JSON value from fit of {name}, found: {error}") from error


def accepted(row: SegmentPrediction, rule: FittedCustomRule) -> tuple[Span, ...]:
    """The entities of a segment that both models answered, in order; the rule is not shown the gold ones.

    Raises ConfigError for spans that overlap, and for others than the candidates.
    """
    spans = list(code(rule.name).accept(replace(row, gold=()), rule.fitted))
    allowed = candidate_spans(row, rule.types)
    if odd := [span for span in spans if span not in allowed]:
        raise ConfigError(f"{KEY}: expected of {rule.name} spans among the candidates, found {odd[0]!r}")
    try:
        return sort_and_check_spans(spans, len(row.text))
    except ValueError as error:
        raise ConfigError(f"{KEY}: expected of {rule.name} spans without overlaps, found: {error}") from error


def can_change(row: SegmentPrediction, rule: FittedCustomRule) -> bool:
    """Whether the rule says that some LLM answer could change the output."""
    return bool(code(rule.name).could_change(replace(row, llm=None, gold=()), rule.fitted))
