"""Step tune_fusion: search for the fusion rule with Ray Tune.

Every trial fits one candidate rule:

- The rule by regions: one trial per combination of reductions. A trial compares thousands of lambdas.
- The rule by characters: one trial, which compares the same lambdas.
- The learned rule (`spans`): one trial.
- The users' own rules: one trial per rule.

All rules are judged in the same way, on parts of the held-out data that they were not fitted on (`fusion.rule_search`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ray import tune

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.ray_train import ray_storage_settings
from rayner.config.settings import Config, FusionConfig
from rayner.config.step_settings import step_settings
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.budget import Budget, fit_budget
from rayner.fusion.calibration import Calibration, fit_calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.fusion_rule import FittingSample, FusionRule
from rayner.fusion.lexicon import build_lexicon
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out, list_rule_candidates
from rayner.fusion.span_rule import SpanRule
from rayner.fusion.weight_search import WeightCurve
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.fusion_rules import load_custom_rules, write_tuned_fusion
from rayner.steps.training.cross_fit import read_tuning_predictions_and_lexicons
from rayner.text.json_records import record_from_json, record_to_json
from rayner.text.spans import Span


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings and digests that the fusion rule depends on."""
    steps = ["score", *(["cross_fit"] if config.split.folds else [])]
    return {**step_settings(config, "tune_fusion"), **{step: run.digest_step_manifest(step) for step in steps}}


@dataclass(frozen=True)
class _Trial:
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
class _Search:
    """The data that every trial of the search receives."""

    candidates: Sequence[FusionRule]
    sample: FittingSample
    folds: int
    seed: int

    def run_trial(self, candidate: FusionRule) -> _Trial:
        """Score a rule on parts that it was not fitted on, then fit it on the whole sample."""
        entities = decide_held_out(candidate, self.sample, folds=self.folds, seed=self.seed)
        held_out_f1 = _micro_f1(self.sample, [[entity.span for entity in found] for found in entities])
        fit = candidate.fit(self.sample)
        curve = fit.curve and replace(fit.curve, held_out_f1=held_out_f1)
        return _Trial(candidate.name, fit.rule.to_json(), held_out_f1, curve)


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the fusion rule on the held-out sentences, and write `fusion.json`.

    Also fit the calibration and the budget on held-out sentences. The budget estimates for which sentences the LLM
    would change most.
    """

    def compute() -> dict[str, Any]:
        sample = _read_sample(config, run)
        custom_rules = load_custom_rules(config.fusion.rules)
        search = _Search(
            list_rule_candidates(
                sample,
                entropy_reductions=config.fusion.entropy_reduction,
                llm_reductions=config.fusion.llm_reduction,
                llm_confidences=config.fusion.llm_confidence,
                custom_rules=custom_rules,
            ),
            sample,
            config.fusion.folds,
            config.seed,
        )
        trials = _run_trials(search, run, config.fusion)
        curves = sorted((trial.curve for trial in trials if trial.curve), key=_curve_order)
        fusion = _build_fusion_without_calibration(trials, curves, config)
        rule = fusion.load_rule(fusion.chosen, custom_rules)
        held_out = decide_held_out(rule, sample, folds=search.folds, seed=search.seed)
        fusion = replace(
            fusion,
            baseline_f1={
                "slm": _micro_f1(sample, [segment.slm.spans for segment in sample.segments]),
                "llm": _micro_f1(sample, [segment.llm.spans if segment.llm else () for segment in sample.segments]),
                "fused": fusion.held_out_f1[fusion.chosen],
            },
            calibration=fit_calibration(sample.segments, held_out, rule, sample.types),
            # Only sentences that are not in the lexicon, because the corpus's sentences are not in it either.
            budget=fit_budget([s for s in sample.segments if s.doc_id not in sample.fold_lexicons], rule),
        )
        write_tuned_fusion(run, fusion)
        _log_choice(fusion)
        return {
            "rule": fusion.region_rule.to_json(),
            "chosen": fusion.chosen,
            "held_out": dict(fusion.held_out_f1),
            **fusion.baseline_f1,
        }

    return run.run_step("tune_fusion", collect_manifest_inputs(config, run), compute)


def _read_sample(config: Config, run: Run) -> FittingSample:
    segments, fold_lexicons = read_tuning_predictions_and_lexicons(config, run)
    settings = config.fusion
    return FittingSample(
        segments=segments,
        types=run.entity_types(),
        lexicon=build_lexicon(data.read_part(run, "train")),
        fold_lexicons=fold_lexicons,
        weights=np.linspace(settings.weight_min, settings.weight_max, settings.weight_steps),
        ridge=settings.ridge,
    )


def _run_trials(search: _Search, run: Run, settings: FusionConfig) -> list[_Trial]:
    """Run every candidate as a trial of Ray Tune, and return the trials in the order of the candidates."""
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_run_candidate_trial, search=search), {"cpu": 0.5}),
        param_space={"candidate": tune.grid_search(list(range(len(search.candidates))))},
        tune_config=tune.TuneConfig(
            metric="held_out_f1", mode="max", max_concurrent_trials=settings.max_concurrent_trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="fusion", verbose=0, **ray_storage_settings(run.path("train"))),
    )
    results: Any = tuner.fit()
    if results.num_errors:
        with unwrap_ray_task_error():
            raise results.errors[0]
    by_candidate = {
        result.config["candidate"]: result.metrics["trial"] for result in (results[i] for i in range(len(results)))
    }
    return [record_from_json(_Trial, json.loads(by_candidate[i])) for i in range(len(search.candidates))]


def _run_candidate_trial(trial_config: dict[str, Any], search: _Search) -> dict[str, Any]:
    trial = search.run_trial(search.candidates[trial_config["candidate"]])
    # One string, because Ray would treat each value in a rule as a metric and print a warning for it.
    return {"held_out_f1": trial.held_out_f1, "trial": json.dumps(record_to_json(trial))}


def _build_fusion_without_calibration(
    trials: Sequence[_Trial], curves: Sequence[WeightCurve], config: Config
) -> TunedFusion:
    """Choose lambda and reductions by F1 on all sentences, then choose the rule by its held-out F1.

    Held-out F1 is measured on sentences that a rule was not fitted on. Between rules with equal F1, the rule by regions
    is chosen, else the rule that `fusion.rules` names first.
    """
    best = max(curves, key=lambda curve: curve.best_f1)
    fitted = {trial.name: trial for trial in trials if trial.curve is None}
    held_out_f1 = {RegionRule.name: best.held_out_f1} | {name: trial.held_out_f1 for name, trial in fitted.items()}
    in_order = [name for name in (RegionRule.name, *config.fusion.rules) if name in config.fusion.rules]
    return TunedFusion(
        chosen=max(in_order, key=held_out_f1.__getitem__),
        character_rule=CharacterRule.from_json(fitted.pop(CharacterRule.name).rule),
        region_rule=RegionRule(best.best_weight, best.entropy_reduction, best.llm_reduction, best.llm_confidence),
        span_rule=SpanRule.from_json(fitted.pop(SpanRule.name).rule),
        custom_rules={name: trial.rule for name, trial in fitted.items()},
        held_out_f1=held_out_f1,
        baseline_f1={},
        softmax_over=config.llm.softmax_over,
        calibration=Calibration(),
        budget=Budget((), (), ()),
        curves=tuple(curves),
    )


def _curve_order(curve: WeightCurve) -> tuple[str, str, bool]:
    """Return the sort key of a curve. Among equally good curves, the first in this order is chosen."""
    return curve.entropy_reduction, curve.llm_reduction, curve.llm_confidence == "entities"


def _micro_f1(sample: FittingSample, spans: Sequence[Sequence[Span]]) -> float:
    """Return the strict entity micro F1 of the spans found in each segment."""
    return micro_score(count_entities([segment.gold for segment in sample.segments], spans, sample.types)).f1


def _log_choice(fusion: TunedFusion) -> None:
    rule = fusion.region_rule
    log.info(
        "fusion: lambda %.3f by characters; %.3f by regions (H by %s, P by %s of %s); held-out F1 of rules by %s: "
        "chosen %s; SLM %.4f, LLM %.4f",
        fusion.character_rule.weight, rule.weight, rule.entropy_reduction, rule.llm_reduction, rule.llm_confidence,
        ", ".join(f"{name} {f1:.4f}" for name, f1 in fusion.held_out_f1.items()), fusion.chosen,
        fusion.baseline_f1["slm"], fusion.baseline_f1["llm"],
    )  # fmt: skip
