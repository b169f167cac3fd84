"""The search for the fusion rule by Ray Tune: a trial per pair of reductions, thousands of lambdas in each.

One more trial fits the learned rule. All are judged alike, on parts of the held-out data that they were not fitted on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from ray import tune

from rayner.cluster import data
from rayner.cluster.cross_fit import scored_sentences
from rayner.cluster.fitting import storage
from rayner.config import Config, FusionConfig, resolved
from rayner.ner import budget, calibration, confidence, span_rule
from rayner.ner.candidates import Lexicon, lexicon
from rayner.ner.deciding import AnyRule, chosen, decide
from rayner.ner.fusion import Decision
from rayner.ner.metrics import count, micro
from rayner.ner.rule import Rule
from rayner.ner.scores import Scored
from rayner.ner.span_rule import SpanRule
from rayner.ner.tuning import best_weight, conflicts, f1_curve, held_out
from rayner.progress import log
from rayner.run import Run, write_json

REDUCTIONS = ("entropy", "probability", "evidence")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fusion rule depends on."""
    settings = resolved(config.fusion)
    settings.pop("trials_at_once")
    folds = {"folds": run.digest("cross_fit")} if config.split.folds else {}
    return {"score": run.digest("score"), "fusion": settings, "seed": config.seed, **folds}


@dataclass(frozen=True)
class HeldOut:
    """The scored sentences that rules are fitted and judged on, and what that takes.

    known: the lexicon of the training sentences; others: by `doc_id`, those of sentences whose tags `known` holds.
    """

    rows: list[Scored]
    types: Sequence[str]
    known: Lexicon
    others: dict[str, Lexicon]
    settings: FusionConfig
    seed: int

    @property
    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The lambdas that are tried."""
        return np.linspace(self.settings.weight_min, self.settings.weight_max, self.settings.steps)

    def learned(self, rows: Sequence[Scored]) -> SpanRule:
        """The learned rule that fits some of the sentences best."""
        return span_rule.fit(rows, self.types, self.known, ridge=self.settings.ridge, others=self.others)

    def fitted(self, rows: Sequence[Scored], rule: AnyRule) -> AnyRule:
        """The rule of the same kind that fits some of the sentences best."""
        if not isinstance(rule, Rule):
            return self.learned(rows)
        weight, _ = best_weight(self.weights, f1_curve(conflicts(rows, rule), self.weights))
        return replace(rule, weight=weight)

    def blind(self, rule: AnyRule, row: Scored) -> AnyRule:
        """The rule without what it knows of a sentence's tags."""
        return rule if isinstance(rule, Rule) else replace(rule, lexicon=self.others.get(row.doc_id, rule.lexicon))

    def decisions(self, rule: AnyRule) -> list[list[Decision]]:
        """Those on each sentence by a rule of this kind that was not fitted on it, and does not know its tags."""
        choose = partial(self.fitted, rule=rule)
        return held_out(self.rows, choose, folds=self.settings.folds, seed=self.seed, blind=self.blind)

    def f1(self, spans: Sequence[Sequence[Any]]) -> float:
        """Strict micro F1 of entities found in each sentence."""
        return micro(count([row.gold for row in self.rows], spans, self.types)).f1


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the rule on the held-out scores, fit the calibration on them; write `fusion.json`."""

    def work() -> dict[str, Any]:
        rows, others = scored_sentences(config, run)
        known, types = lexicon(data.part(run, "train")), run.facts("data")["types"]
        sample = HeldOut(rows, types, known, others, config.fusion, config.seed)
        curves, learned = _search(sample, run)
        best = max(curves, key=lambda curve: curve["best_f1"])
        judged = {"regions": best["held_out_f1"], "spans": learned.pop("held_out_f1")}
        fusion: dict[str, Any] = {
            "rule": {"weight": best["best_weight"], **{key: best[key] for key in REDUCTIONS}},
            "spans": learned,
            "chosen": max(config.fusion.rules, key=lambda name: (judged[name], name == "regions")),
            "held_out": judged,
            "basis": config.llm.probability,
        }
        rule = chosen(fusion)
        baselines = {
            "slm": sample.f1([row.slm.spans for row in rows]),
            "llm": sample.f1([row.llm.plain if row.llm else () for row in rows]),
            "fused": judged[fusion["chosen"]],
        }
        fusion |= {
            "baselines": baselines,
            "calibration": _calibrate(rows, sample.decisions(rule), rule, types),
            # Of sentences whose tags the lexicon does not hold, as it holds none of the corpus.
            "budget": resolved(budget.fit([row for row in rows if row.doc_id not in others], rule)),
            "curves": curves,
        }
        write_json(run.path("fusion.json"), fusion)
        log.info(
            "fusion: lambda %.3f (H by %s, P by %s of %s); held-out F1 of rules by %s: chosen %s; SLM %.4f, LLM %.4f",
            best["best_weight"], best["entropy"], best["probability"], best["evidence"],
            ", ".join(f"{name} {value:.4f}" for name, value in judged.items()), fusion["chosen"],
            baselines["slm"], baselines["llm"],
        )  # fmt: skip
        return {"rule": fusion["rule"], "chosen": fusion["chosen"], "held_out": judged, **baselines}

    return run.once("tune_fusion", inputs(config, run), work)


def _search(sample: HeldOut, run: Run) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The whole curve of each pair of reductions, and the learned rule as plain values; each with its held-out F1."""
    settings = sample.settings
    regions = [
        {"entropy": entropy, "probability": probability, "evidence": evidence}
        for entropy in settings.entropy
        for probability in settings.probability
        for evidence in settings.evidence
    ]
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, sample=sample), {"cpu": 0.5}),
        param_space={"reductions": tune.grid_search([*regions, None])},
        tune_config=tune.TuneConfig(
            metric="held_out_f1", mode="max", max_concurrent_trials=settings.trials_at_once, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="fusion", verbose=0, **storage(run.path("train"))),
    )
    results: Any = tuner.fit()
    if results.num_errors:
        raise results.errors[0]
    found: list[Any] = [results[i] for i in range(len(results))]
    curves = [{**r.config["reductions"], **r.metrics["outcome"]} for r in found if r.config["reductions"]]
    (learned,) = [json.loads(r.metrics["outcome"]) for r in found if not r.config["reductions"]]
    return sorted(curves, key=lambda curve: [curve[key] for key in REDUCTIONS]), learned


def _trial(setting: dict[str, Any], sample: HeldOut) -> dict[str, Any]:
    reductions = setting["reductions"]
    rule: AnyRule = Rule(0.0, **reductions) if reductions else sample.learned(sample.rows)
    judged = sample.f1([[decision.span for decision in own] for own in sample.decisions(rule)])
    if not isinstance(rule, Rule):
        # As one string: Ray would take a rule's strings and their counts for metrics, and complain of each.
        return {"held_out_f1": judged, "outcome": json.dumps({**rule.plain(), "held_out_f1": judged})}
    f1 = f1_curve(conflicts(sample.rows, rule), sample.weights)
    weight, best = best_weight(sample.weights, f1)
    outcome = {
        "best_weight": weight,
        "best_f1": best,
        "held_out_f1": judged,
        "weights": [round(float(w), 6) for w in sample.weights],
        "f1": [round(float(value), 6) for value in f1],
    }
    return {"held_out_f1": judged, "outcome": outcome}


def _calibrate(
    rows: list[Scored], decisions: list[list[Decision]], rule: AnyRule, types: Sequence[str]
) -> dict[str, list[float]]:
    """Weights for entities on which the LLM was consulted, and for those that the SLM decides alone.

    decisions: by rules that had not seen the sentence: a learned one is surer of what it was fitted on. Also, under
    `slm` and `llm`, weights for each model's own confidences.
    """
    asked = [(d, row) for row, own in zip(rows, decisions, strict=True) for d in own if d.consulted]
    alone = [(d, row) for row in rows for d in decide(replace(row, llm=None), rule)]
    own = {"slm": confidence.fit(confidence.of_slm(rows, types)), "llm": confidence.fit(confidence.of_llm(rows))}
    return own | {
        name: calibration.fit([calibration.features(d) for d, _ in found], [d.span in row.gold for d, row in found])
        for name, found in (("with_llm", asked), ("slm_alone", alone))
    }
