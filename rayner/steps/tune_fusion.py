"""Step tune_fusion: search for the fusion rule with Ray Tune.

Every trial fits one candidate rule:

- The rule by regions: one trial per combination of reductions. A trial compares thousands of lambdas.
- The rule by characters: one trial, which compares the same lambdas.
- The learned rule (`spans`): one trial.
- The users' own rules: one trial per rule.

The same search runs again with every LLM answer empty. Its result is the LLM-free control (`fusion.control`).

All rules are judged in the same way, on parts of the held-out data that they were not fitted on (`fusion.rule_search`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from ray import tune

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.ray_train import ray_storage_settings
from rayner.config.settings import Config, FusionConfig
from rayner.config.step_settings import step_settings
from rayner.evaluation.llm_worth import LlmWorth, compare_with_control
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.artifact import TunedFusion, TunedRules
from rayner.fusion.budget import fit_budget
from rayner.fusion.calibration import fit_calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import with_empty_answer
from rayner.fusion.custom_rule import CustomRule
from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FittingSample, FusionRule
from rayner.fusion.learned.lexicon import build_lexicon
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.rule_search import decide_held_out, list_rule_candidates
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
    """The data that every trial of a search receives."""

    candidates: Sequence[FusionRule]
    sample: FittingSample
    folds: int
    seed: int

    def decide_held_out(self, rule: FusionRule) -> list[list[FusedEntity]]:
        """Return the entities of each segment, decided by a rule that was not fitted on it."""
        return decide_held_out(rule, self.sample, folds=self.folds, seed=self.seed)

    def run_trial(self, candidate: FusionRule) -> _Trial:
        """Score a rule on parts that it was not fitted on, then fit it on the whole sample."""
        held_out_f1 = _micro_f1(self.sample, _list_spans(self.decide_held_out(candidate)))
        fit = candidate.fit(self.sample)
        curve = fit.curve and replace(fit.curve, held_out_f1=held_out_f1)
        return _Trial(candidate.name, fit.rule.to_json(), held_out_f1, curve)


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the fusion rule and its LLM-free control on the held-out sentences, and write `fusion.json`.

    Also fit the calibration and the budget on held-out sentences. The budget estimates for which sentences the LLM
    would change most.
    """

    def compute() -> dict[str, Any]:
        fusion, worth = _fit_fusion(config, run)
        write_tuned_fusion(run, fusion)
        _log_choice(fusion, worth)
        return {
            "rule": fusion.region_rule.to_json(),
            "chosen": fusion.chosen,
            "held_out": dict(fusion.held_out_f1),
            "control_chosen": fusion.control.chosen,
            "control_held_out": dict(fusion.control.held_out_f1),
            "llm_worth": list(fusion.llm_worth),
            **fusion.baseline_f1,
        }

    return run.run_step("tune_fusion", collect_manifest_inputs(config, run), compute)


def _fit_fusion(config: Config, run: Run) -> tuple[TunedFusion, LlmWorth]:
    """Return the fusion with its control, and what the LLM is worth on the held-out sentences."""
    sample = _read_sample(config, run)
    custom_rules = load_custom_rules(config.fusion.rules)
    searches = _build_searches(sample, custom_rules, config)
    trials, control_trials = _run_trials(searches, run, config.fusion)
    rules, control = _choose_rules(trials, config), _choose_rules(control_trials, config)
    rule = rules.load_rule(rules.chosen, custom_rules)
    held_out, control_held_out = (
        search.decide_held_out(chosen.load_rule(chosen.chosen, custom_rules))
        for search, chosen in zip(searches, (rules, control), strict=True)
    )
    worth = _compare_held_out(sample, held_out, control_held_out, config.seed)
    fusion = TunedFusion(
        **vars(rules),
        control=control,
        llm_worth=(worth.difference, *worth.interval),
        baseline_f1={
            "slm": _micro_f1(sample, [segment.slm.spans for segment in sample.segments]),
            "llm": _micro_f1(sample, [segment.llm.spans if segment.llm else () for segment in sample.segments]),
            "fused": rules.held_out_f1[rules.chosen],
            "control": control.held_out_f1[control.chosen],
        },
        softmax_over=config.llm.softmax_over,
        calibration=fit_calibration(sample.segments, held_out, rule, sample.types),
        # Only sentences that are not in the lexicon, because the corpus's sentences are not in it either.
        budget=fit_budget([s for s in sample.segments if s.doc_id not in sample.fold_lexicons], rule),
        curves=tuple(_sort_curves(trials)),
    )
    return fusion, worth


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


def _build_searches(
    sample: FittingSample, custom_rules: Mapping[str, CustomRule], config: Config
) -> tuple[_Search, _Search]:
    """Return the search for the fusion rule, and the same search for its control.

    With an empty answer, P of every region is 1 under all reductions and both confidences. So the control tries one.
    """
    settings = config.fusion
    control_sample = sample.with_segments([with_empty_answer(segment) for segment in sample.segments])
    options = (
        (sample, settings.llm_reduction, settings.llm_confidence),
        (control_sample, settings.llm_reduction[:1], settings.llm_confidence[:1]),
    )
    fusion, control = (
        _Search(
            list_rule_candidates(
                own_sample,
                entropy_reductions=settings.entropy_reduction,
                llm_reductions=llm_reductions,
                llm_confidences=llm_confidences,
                custom_rules=custom_rules,
                span_selection=settings.span_selection,
            ),
            own_sample,
            settings.folds,
            config.seed,
        )
        for own_sample, llm_reductions, llm_confidences in options
    )
    return fusion, control


def _run_trials(searches: Sequence[_Search], run: Run, settings: FusionConfig) -> list[list[_Trial]]:
    """Run every candidate of each search as a trial of Ray Tune.

    Returns the trials of each search, in the order of its candidates.
    """
    numbers = list(range(sum(len(search.candidates) for search in searches)))
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_run_candidate_trial, searches=searches), {"cpu": 0.5}),
        param_space={"candidate": tune.grid_search(numbers)},
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
    trials = iter([record_from_json(_Trial, json.loads(by_candidate[i])) for i in numbers])
    return [list(islice(trials, len(search.candidates))) for search in searches]


def _run_candidate_trial(trial_config: dict[str, Any], searches: Sequence[_Search]) -> dict[str, Any]:
    runnable = [(search, candidate) for search in searches for candidate in search.candidates]
    search, candidate = runnable[trial_config["candidate"]]
    trial = search.run_trial(candidate)
    # One string, because Ray would treat each value in a rule as a metric and print a warning for it.
    return {"held_out_f1": trial.held_out_f1, "trial": json.dumps(record_to_json(trial))}


def _choose_rules(trials: Sequence[_Trial], config: Config) -> TunedRules:
    """Choose lambda and reductions by F1 on all sentences, then choose the rule by its held-out F1.

    Held-out F1 is measured on sentences that a rule was not fitted on. Between rules with equal F1, the rule by regions
    is chosen, else the rule that `fusion.rules` names first.
    """
    best = max(_sort_curves(trials), key=lambda curve: curve.best_f1)
    fitted = {trial.name: trial for trial in trials if trial.curve is None}
    held_out_f1 = {trial.name: trial.held_out_f1 for trial in trials} | {RegionRule.name: best.held_out_f1}
    in_order = [name for name in (RegionRule.name, *config.fusion.rules) if name in config.fusion.rules]
    return TunedRules(
        chosen=max(in_order, key=held_out_f1.__getitem__),
        character_rule=CharacterRule.from_json(fitted.pop(CharacterRule.name).rule),
        region_rule=RegionRule(best.best_weight, best.entropy_reduction, best.llm_reduction, best.llm_confidence),
        span_rule=SpanRule.from_json(fitted.pop(SpanRule.name).rule),
        custom_rules={name: trial.rule for name, trial in fitted.items()},
        held_out_f1=held_out_f1,
    )


def _sort_curves(trials: Sequence[_Trial]) -> list[WeightCurve]:
    """Return the curves of the trials. Among equally good curves, the first in this order is chosen."""
    return sorted(
        (trial.curve for trial in trials if trial.curve),
        key=lambda curve: (curve.entropy_reduction, curve.llm_reduction, curve.llm_confidence == "entities"),
    )


def _micro_f1(sample: FittingSample, spans: Sequence[Sequence[Span]]) -> float:
    """Return the strict entity micro F1 of the spans found in each segment."""
    return micro_score(count_entities([segment.gold for segment in sample.segments], spans, sample.types)).f1


def _list_spans(entities: Sequence[Sequence[FusedEntity]]) -> list[list[Span]]:
    return [[entity.span for entity in found] for found in entities]


def _compare_held_out(
    sample: FittingSample,
    fused: Sequence[Sequence[FusedEntity]],
    controlled: Sequence[Sequence[FusedEntity]],
    seed: int,
) -> LlmWorth:
    spans, control_spans = _list_spans(fused), _list_spans(controlled)
    worth = compare_with_control(sample.segments, spans, control_spans, sample.types, seed=seed)
    if worth is None:
        raise ValueError("a fusion needs held-out sentences")
    return worth


def _log_choice(fusion: TunedFusion, worth: LlmWorth) -> None:
    rule = fusion.region_rule
    log.info(
        "fusion: lambda %.3f by characters; %.3f by regions (H by %s, P by %s of %s); held-out F1 of rules by %s: "
        "chosen %s; SLM %.4f, LLM %.4f",
        fusion.character_rule.weight, rule.weight, rule.entropy_reduction, rule.llm_reduction, rule.llm_confidence,
        _list_f1(fusion), fusion.chosen, fusion.baseline_f1["slm"], fusion.baseline_f1["llm"],
    )  # fmt: skip
    log.info(
        "fusion: its control without the LLM: held-out F1 of rules by %s: chosen %s",
        _list_f1(fusion.control), fusion.control.chosen,
    )  # fmt: skip
    log.info("fusion: on %d held-out sentences: %s", worth.n_sentences, worth.describe())


def _list_f1(rules: TunedRules) -> str:
    return ", ".join(f"{name} {f1:.4f}" for name, f1 in rules.held_out_f1.items())
