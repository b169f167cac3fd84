"""The search for the fusion rule by Ray Tune: a trial per pair of reductions, thousands of lambdas in each.

One more trial fits the learned rule. All are judged alike, on parts of the held-out data that they were not fitted on.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from ray import tune

from rayner.cluster import data
from rayner.cluster.cross_fit import scored_sentences
from rayner.cluster.fitting import storage
from rayner.cluster.session import log
from rayner.config import Config, FusionConfig, resolved
from rayner.corpus.scored import from_table, to_table
from rayner.ner import budget, calibration, confidence, span_rule
from rayner.ner.candidates import Lexicon, lexicon
from rayner.ner.deciding import AnyRule, chosen, decide
from rayner.ner.fusion import Decision
from rayner.ner.metrics import count, micro
from rayner.ner.rule import Rule
from rayner.ner.scores import Scored
from rayner.ner.tuning import best_weight, conflicts, f1_curve, held_out
from rayner.run import Run, write_json

REDUCTIONS = ("entropy", "probability", "evidence")


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fusion rule depends on."""
    settings = resolved(config.fusion)
    settings.pop("trials_at_once")
    folds = {"folds": run.digest("cross_fit")} if config.split.folds else {}
    return {"score": run.digest("score"), "fusion": settings, "seed": config.seed, **folds}


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the rule on the held-out scores, fit the calibration on them; write `fusion.json`."""

    def work() -> dict[str, Any]:
        (rows, others), types = scored_sentences(config, run), run.facts("data")["types"]
        known = lexicon(data.part(run, "train"))
        curves, learned = _search(config, run, rows, known, others)
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
        decisions = _held_out(rows, rule, config.fusion, known, others, config.seed)
        baselines = {
            "slm": _f1(rows, [row.slm.spans for row in rows], types),
            "llm": _f1(rows, [row.llm.plain if row.llm else () for row in rows], types),
            "fused": judged[fusion["chosen"]],
        }
        fusion |= {
            "baselines": baselines,
            "calibration": _calibrate(rows, decisions, rule, types),
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


def _search(
    config: Config, run: Run, rows: list[Scored], known: Lexicon, others: dict[str, Lexicon]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The whole curve of each pair of reductions, and the learned rule as plain values; each with its held-out F1."""
    settings = config.fusion
    regions = [
        {"entropy": entropy, "probability": probability, "evidence": evidence}
        for entropy in settings.entropy
        for probability in settings.probability
        for evidence in settings.evidence
    ]
    shared: dict[str, Any] = {
        "table": to_table(rows), "settings": settings, "types": run.facts("data")["types"], "known": known,
        "others": others, "seed": config.seed,
    }  # fmt: skip
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, **shared), {"cpu": 0.5}),
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


def _trial(
    setting: dict[str, Any],
    table: pa.Table,
    settings: FusionConfig,
    types: Sequence[str],
    known: Lexicon,
    others: dict[str, Lexicon],
    seed: int,
) -> dict[str, Any]:
    rows, reductions = from_table(table), setting["reductions"]
    if reductions:
        rule: AnyRule = Rule(0.0, **reductions)
    else:
        rule = span_rule.fit(rows, types, known, ridge=settings.ridge, others=others)
    decisions = _held_out(rows, rule, settings, known, others, seed)
    judged = _f1(rows, [[decision.span for decision in own] for own in decisions], types)
    if not isinstance(rule, Rule):
        # As one string: Ray would take a rule's strings and their counts for metrics, and complain of each.
        return {"held_out_f1": judged, "outcome": json.dumps({**rule.plain(), "held_out_f1": judged})}
    weights = _weights(settings)
    f1 = f1_curve(conflicts(rows, rule), weights)
    weight, best = best_weight(weights, f1)
    outcome = {
        "best_weight": weight,
        "best_f1": best,
        "held_out_f1": judged,
        "weights": [round(float(w), 6) for w in weights],
        "f1": [round(float(value), 6) for value in f1],
    }
    return {"held_out_f1": judged, "outcome": outcome}


def _held_out(
    rows: list[Scored], rule: AnyRule, settings: FusionConfig, known: Lexicon, others: dict[str, Lexicon], seed: int
) -> list[list[Decision]]:
    """The decisions on each sentence by a rule of this kind that was not fitted on it, and does not know its tags."""
    fitted = partial(_fitted, config=settings, rule=rule, known=known, others=others)
    return held_out(rows, fitted, folds=settings.folds, seed=seed, blind=partial(_blind, others=others))


def _blind(rule: AnyRule, row: Scored, *, others: dict[str, Lexicon]) -> AnyRule:
    return rule if isinstance(rule, Rule) else replace(rule, lexicon=others.get(row.doc_id, rule.lexicon))


def _weights(config: FusionConfig) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.linspace(config.weight_min, config.weight_max, config.steps)


def _fitted(
    rows: Sequence[Scored], *, config: FusionConfig, rule: AnyRule, known: Lexicon, others: dict[str, Lexicon]
) -> AnyRule:
    """The rule of the same kind that fits these sentences best."""
    if not isinstance(rule, Rule):
        return span_rule.fit(rows, rule.types, known, ridge=config.ridge, others=others)
    weights = _weights(config)
    weight, _ = best_weight(weights, f1_curve(conflicts(rows, rule), weights))
    return Rule(weight, rule.entropy, rule.probability, rule.evidence)


def _f1(rows: Sequence[Scored], spans: Sequence[Sequence[Any]], types: Sequence[str]) -> float:
    return micro(count([row.gold for row in rows], spans, types)).f1


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
