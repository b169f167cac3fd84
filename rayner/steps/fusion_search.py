"""Search for the fusion rule with Ray Tune.

Every trial fits one candidate rule:

- The rule by regions: one trial per combination of reductions. A trial compares thousands of lambdas.
- The rule by characters: one trial, which compares the same lambdas.
- The learned rule (`spans`): one trial, and one more for its two passes (`documents`) if `fusion.rules` names them.
- The users' own rules: one trial per rule.

All rules are judged in the same way, on parts of the held-out data that they were not fitted on (`fusion.rule_search`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ray import tune

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.storage_settings import ray_storage_settings
from rayner.config.conditions import has_llm
from rayner.config.settings import Config, FusionConfig
from rayner.evaluation.metrics import micro_f1
from rayner.fusion.artifact import TunedRules
from rayner.fusion.calibration import Calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import with_empty_answer
from rayner.fusion.custom_rule import CustomRule
from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FittingSample, FusionRule
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out, list_rule_candidates
from rayner.fusion.weight_search import WeightCurve
from rayner.runs.progress import Progress
from rayner.runs.run_folder import Run
from rayner.text.json_records import record_from_json, record_to_json
from rayner.text.spans import Span


@dataclass(frozen=True)
class Trial:
    """The result of a trial.

    name: the name of the rule.
    rule: the fitted rule as JSON values.
    held_out_f1: micro F1 on parts that the rule was not fitted on.
    curve: F1 at each lambda of a rule by regions; None for other rules.
    """

    name: str
    rule: Any
    held_out_f1: float
    curve: WeightCurve | None


@dataclass(frozen=True)
class RuleSearch:
    """The data that every trial of a search receives."""

    candidates: Sequence[FusionRule]
    sample: FittingSample
    folds: int
    seed: int

    def decide_held_out(self, rule: FusionRule) -> list[list[FusedEntity]]:
        """Return the entities of each segment, decided by a rule that was not fitted on it."""
        return decide_held_out(rule, self.sample, folds=self.folds, seed=self.seed)

    def run_trial(self, candidate: FusionRule) -> Trial:
        """Score a rule on parts that it was not fitted on, then fit it on the whole sample."""
        held_out_f1 = micro_f1(
            self.sample.gold_by_segment, list_spans_by_segment(self.decide_held_out(candidate)), self.sample.types
        )
        fit = candidate.fit(self.sample)
        curve = fit.curve and replace(fit.curve, held_out_f1=held_out_f1)
        return Trial(candidate.name, fit.rule.to_json(), held_out_f1, curve)


def build_searches(
    sample: FittingSample, custom_rules: Mapping[str, CustomRule], config: Config
) -> tuple[RuleSearch, ...]:
    """Return the search for the fusion rule, and the same search for its control; the second alone without an LLM.

    With an empty answer, P of every region is 1 under all reductions and both confidences. So the control tries one.
    """
    settings = config.fusion
    control_sample = sample.with_segments([with_empty_answer(segment) for segment in sample.segments])
    options = [(control_sample, settings.llm_reduction[:1], settings.llm_confidence[:1])]
    if has_llm(config):
        options.insert(0, (sample, settings.llm_reduction, settings.llm_confidence))
    return tuple(
        RuleSearch(
            list_rule_candidates(
                own_sample,
                entropy_reductions=settings.entropy_reduction,
                llm_reductions=llm_reductions,
                llm_confidences=llm_confidences,
                custom_rules=custom_rules,
                by_documents=DocumentRule.name in settings.rules,
            ),
            own_sample,
            settings.folds,
            config.seed,
        )
        for own_sample, llm_reductions, llm_confidences in options
    )


def run_trials(searches: Sequence[RuleSearch], run: Run, settings: FusionConfig) -> list[list[Trial]]:
    """Run every candidate of each search as a trial of Ray Tune.

    Returns the trials of each search, in the order of its candidates.
    """
    numbers = list(range(sum(len(search.candidates) for search in searches)))
    progress = Progress("fusion", len(numbers), "rules")
    progress.show_start()
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_run_candidate_trial, searches=searches), {"cpu": 0.5}),
        param_space={"candidate": tune.grid_search(numbers)},
        tune_config=tune.TuneConfig(
            metric="held_out_f1", mode="max", max_concurrent_trials=settings.max_concurrent_trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="fusion", verbose=0, callbacks=[_TrialCounter(progress)], **ray_storage_settings(run.path("train"))
        ),
    )
    results: Any = tuner.fit()
    if results.num_errors:
        with unwrap_ray_task_error():
            raise results.errors[0]
    by_candidate = {
        result.config["candidate"]: result.metrics["trial"] for result in (results[i] for i in range(len(results)))
    }
    trials = iter([record_from_json(Trial, json.loads(by_candidate[i])) for i in numbers])
    return [list(islice(trials, len(search.candidates))) for search in searches]


class _TrialCounter(tune.Callback):
    """Callback of Ray Tune that counts the trials that are done. It runs in this process."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Ray stores the callback to restore a search, which rayner never does."""
        return {}

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:  # noqa: ANN401 - Ray's, not used
        """Count a trial."""
        self._progress.advance(1)


def _run_candidate_trial(trial_config: dict[str, Any], searches: Sequence[RuleSearch]) -> dict[str, Any]:
    runnable = [(search, candidate) for search in searches for candidate in search.candidates]
    search, candidate = runnable[trial_config["candidate"]]
    trial = search.run_trial(candidate)
    # One string, because Ray would treat each value in a rule as a metric and print a warning for it.
    return {"held_out_f1": trial.held_out_f1, "trial": json.dumps(record_to_json(trial))}


def choose_rules(trials: Sequence[Trial], config: Config) -> TunedRules:
    """Choose lambda and reductions by F1 on all sentences, then choose the rule by its held-out F1.

    Held-out F1 is measured on sentences that a rule was not fitted on. Between rules with equal F1, the rule by regions
    is chosen, else the rule that `fusion.rules` names first.
    """
    best = max(sort_curves(trials), key=lambda curve: curve.best_f1)
    fitted = {trial.name: trial for trial in trials if trial.curve is None}
    by_documents = fitted.pop(DocumentRule.name, None)
    held_out_f1 = {trial.name: trial.held_out_f1 for trial in trials} | {RegionRule.name: best.held_out_f1}
    in_order = [name for name in (RegionRule.name, *config.fusion.rules) if name in config.fusion.rules]
    return TunedRules(
        chosen=max(in_order, key=held_out_f1.__getitem__),
        character_rule=CharacterRule.from_json(fitted.pop(CharacterRule.name).rule),
        region_rule=RegionRule(best.best_weight, best.entropy_reduction, best.llm_reduction, best.llm_confidence),
        span_rule=SpanRule.from_json(fitted.pop(SpanRule.name).rule),
        document_rule=DocumentRule.from_json(by_documents.rule) if by_documents else None,
        custom_rules={name: trial.rule for name, trial in fitted.items()},
        held_out_f1=held_out_f1,
        calibration=Calibration(),
    )


def sort_curves(trials: Sequence[Trial]) -> list[WeightCurve]:
    """Return the curves of the trials. Among equally good curves, the first in this order is chosen."""
    return sorted(
        (trial.curve for trial in trials if trial.curve),
        key=lambda curve: (curve.entropy_reduction, curve.llm_reduction, curve.llm_confidence == "entities"),
    )


def list_spans_by_segment(entities: Sequence[Sequence[FusedEntity]]) -> list[list[Span]]:
    """Return the spans of the entities of each segment."""
    return [[entity.span for entity in segment_entities] for segment_entities in entities]
