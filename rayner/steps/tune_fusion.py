"""The search for the fusion rule by Ray Tune: a trial per pair of reductions, thousands of lambdas in each.

One more trial fits the learned rule, and one each the user's own. All are judged alike, on parts of the held-out data
that they were not fitted on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from ray import tune

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.cluster.ray_train import storage_settings
from rayner.config.plugins import is_plugin_name
from rayner.config.settings import Config, FusionConfig, config_to_dict
from rayner.config.step_settings import step_settings
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion import budget, calibration, custom_rule, model_confidence, span_rule
from rayner.fusion.custom_rule import FittedCustomRule
from rayner.fusion.deciding import FusionRule, chosen, decide
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.regions import FusedEntity
from rayner.fusion.span_features import Lexicon, build_lexicon
from rayner.fusion.span_rule import SpanRule
from rayner.fusion.tuning import choose_weight, compute_f1_curve, decide_held_out, tabulate_conflicts
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, write_json
from rayner.steps import data
from rayner.steps.training.cross_fit import read_tuning_predictions
from rayner.text.predictions import SegmentPrediction

REDUCTIONS = ("entropy_reduction", "llm_reduction", "llm_confidence")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return what the fusion rule depends on."""
    steps = ["score", *(["cross_fit"] if config.split.folds else [])]
    return {**step_settings(config, "tune_fusion"), **{step: run.step_digest(step) for step in steps}}


@dataclass(frozen=True)
class HeldOut:
    """The scored sentences that rules are fitted and judged on, and what that takes.

    known: the lexicon of the training sentences; others: by `doc_id`, those of sentences whose tags `known` holds.
    """

    rows: list[SegmentPrediction]
    types: Sequence[str]
    known: Lexicon
    others: dict[str, Lexicon]
    settings: FusionConfig
    seed: int

    @property
    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The lambdas that are tried."""
        return np.linspace(self.settings.weight_min, self.settings.weight_max, self.settings.weight_steps)

    def learned(self, rows: Sequence[SegmentPrediction]) -> SpanRule:
        """The learned rule that fits some of the sentences best."""
        return span_rule.fit_span_rule(rows, self.types, self.known, ridge=self.settings.ridge, others=self.others)

    def fitted(self, rows: Sequence[SegmentPrediction], rule: FusionRule) -> FusionRule:
        """The rule of the same kind that fits some of the sentences best."""
        if isinstance(rule, SpanRule):
            return self.learned(rows)
        if isinstance(rule, FittedCustomRule):
            return custom_rule.fit(rule.name, rows, self.types)
        weight, _ = choose_weight(self.weights, compute_f1_curve(tabulate_conflicts(rows, rule), self.weights))
        return replace(rule, weight=weight)

    def blind(self, rule: FusionRule, row: SegmentPrediction) -> FusionRule:
        """The rule without what it knows of a sentence's tags."""
        if not isinstance(rule, SpanRule):
            return rule
        return replace(rule, lexicon=self.others.get(row.doc_id, rule.lexicon))

    def decisions(self, rule: FusionRule) -> list[list[FusedEntity]]:
        """Those on each sentence by a rule of this kind that was not fitted on it, and does not know its tags."""
        choose = partial(self.fitted, rule=rule)
        return decide_held_out(self.rows, choose, folds=self.settings.folds, seed=self.seed, blind=self.blind)

    def f1(self, spans: Sequence[Sequence[Any]]) -> float:
        """Strict micro F1 of entities found in each sentence."""
        return micro_score(count_entities([row.gold for row in self.rows], spans, self.types)).f1


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the rule on the held-out scores, fit the calibration on them; write `fusion.json`."""

    def work() -> dict[str, Any]:
        rows, others = read_tuning_predictions(config, run)
        known, types = build_lexicon(data.read_part(run, "train")), run.step_result("data")["types"]
        sample = HeldOut(rows, types, known, others, config.fusion, config.seed)
        curves, learned = _search(sample, run)
        best = max(curves, key=lambda curve: curve["best_f1"])
        judged = {"regions": best["held_out_f1"], **{name: f1 for name, (f1, _) in learned.items()}}
        own = {name: plain for name, (_, plain) in learned.items() if name != "spans"}
        fusion: dict[str, Any] = {
            "rule": {"weight": best["best_weight"], **{key: best[key] for key in REDUCTIONS}},
            "spans": learned["spans"][1],
            **({"custom": own} if own else {}),
            "chosen": max(config.fusion.rules, key=lambda name: (judged[name], name == "regions")),
            "held_out": judged,
            "basis": config.llm.softmax_over,
        }
        rule = chosen(fusion)
        baselines = {
            "slm": sample.f1([row.slm.spans for row in rows]),
            "llm": sample.f1([row.llm.spans if row.llm else () for row in rows]),
            "fused": judged[fusion["chosen"]],
        }
        fusion |= {
            "baselines": baselines,
            "calibration": _calibrate(rows, sample.decisions(rule), rule, types),
            # Of sentences whose tags the lexicon does not hold, as it holds none of the corpus.
            "budget": config_to_dict(budget.fit_budget([row for row in rows if row.doc_id not in others], rule)),
            "curves": curves,
        }
        write_json(run.path("fusion.json"), fusion)
        log.info(
            "fusion: lambda %.3f (H by %s, P by %s of %s); held-out F1 of rules by %s: chosen %s; SLM %.4f, LLM %.4f",
            best["best_weight"], best["entropy_reduction"], best["llm_reduction"], best["llm_confidence"],
            ", ".join(f"{name} {value:.4f}" for name, value in judged.items()), fusion["chosen"],
            baselines["slm"], baselines["llm"],
        )  # fmt: skip
        return {"rule": fusion["rule"], "chosen": fusion["chosen"], "held_out": judged, **baselines}

    return run.run_step("tune_fusion", inputs(config, run), work)


def _search(sample: HeldOut, run: Run) -> tuple[list[dict[str, Any]], dict[str, tuple[float, Any]]]:
    """The whole curve of each pair of reductions; held-out F1 and plain values of the other rules by name."""
    settings = sample.settings
    regions = [
        {"entropy_reduction": entropy, "llm_reduction": probability, "llm_confidence": evidence}
        for entropy in settings.entropy_reduction
        for probability in settings.llm_reduction
        for evidence in settings.llm_confidence
    ]
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, sample=sample), {"cpu": 0.5}),
        param_space={"rule": tune.grid_search([*regions, "spans", *filter(is_plugin_name, settings.rules)])},
        tune_config=tune.TuneConfig(
            metric="held_out_f1", mode="max", max_concurrent_trials=settings.max_concurrent_trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="fusion", verbose=0, **storage_settings(run.path("train"))),
    )
    results: Any = tuner.fit()
    if results.num_errors:
        with unwrap_ray_task_error():
            raise results.errors[0]
    curves, learned = list[dict[str, Any]](), dict[str, tuple[float, Any]]()
    for found in (results[i] for i in range(len(results))):
        which, outcome = found.config["rule"], found.metrics["outcome"]
        if isinstance(which, dict):
            curves.append({**which, **outcome})
        else:
            learned[which] = found.metrics["held_out_f1"], json.loads(outcome)
    return sorted(curves, key=lambda curve: [curve[key] for key in REDUCTIONS]), learned


def _trial(setting: dict[str, Any], sample: HeldOut) -> dict[str, Any]:
    which = setting["rule"]
    if isinstance(which, dict):
        rule: FusionRule = RegionRule(0.0, **which)
    else:
        rule = sample.learned(sample.rows) if which == "spans" else custom_rule.fit(which, sample.rows, sample.types)
    judged = sample.f1([[decision.span for decision in own] for own in sample.decisions(rule)])
    if not isinstance(rule, RegionRule):
        # As one string: Ray would take a rule's strings and their counts for metrics, and complain of each.
        plain = rule.plain() if isinstance(rule, SpanRule) else rule.fitted
        return {"held_out_f1": judged, "outcome": json.dumps(plain)}
    f1 = compute_f1_curve(tabulate_conflicts(sample.rows, rule), sample.weights)
    weight, best = choose_weight(sample.weights, f1)
    outcome = {
        "best_weight": weight,
        "best_f1": best,
        "held_out_f1": judged,
        "weights": [round(float(w), 6) for w in sample.weights],
        "f1": [round(float(value), 6) for value in f1],
    }
    return {"held_out_f1": judged, "outcome": outcome}


def _calibrate(
    rows: list[SegmentPrediction], decisions: list[list[FusedEntity]], rule: FusionRule, types: Sequence[str]
) -> dict[str, list[float]]:
    """Weights for entities on which the LLM was consulted, and for those that the SLM decides alone.

    decisions: by rules that had not seen the sentence: a learned one is surer of what it was fitted on. Also, under
    `slm` and `llm`, weights for each model's own confidences.
    """
    asked = [(d, row) for row, own in zip(rows, decisions, strict=True) for d in own if d.llm_consulted]
    alone = [(d, row) for row in rows for d in decide(replace(row, llm=None), rule)]
    own = {
        "slm": model_confidence.fit_confidence_weights(model_confidence.slm_confidences(rows, types)),
        "llm": model_confidence.fit_confidence_weights(model_confidence.llm_confidences(rows)),
    }
    return own | {
        name: calibration.fit_logistic_weights(
            [calibration.calibration_features(d) for d, _ in found], [d.span in row.gold for d, row in found]
        )
        for name, found in (("with_llm", asked), ("slm_alone", alone))
    }
