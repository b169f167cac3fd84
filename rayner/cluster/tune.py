"""The search for the fusion rule by Ray Tune: a trial per pair of reductions, thousands of lambdas in each."""

from typing import Any

import numpy as np
import pyarrow as pa
from ray import tune

from rayner.cluster import score
from rayner.cluster.fitting import storage
from rayner.cluster.session import log
from rayner.config import Config, resolved
from rayner.corpus.scored import from_table, to_table
from rayner.ner import budget, calibration
from rayner.ner.fusion import fuse
from rayner.ner.metrics import count, micro
from rayner.ner.rule import Rule
from rayner.ner.scores import Scored
from rayner.ner.tuning import best_weight, conflicts, f1_curve
from rayner.run import Run, write_json


def inputs(config: Config, run: Run) -> dict[str, Any]:
    """What the fusion rule depends on."""
    settings = resolved(config.fusion)
    settings.pop("trials_at_once")
    return {"score": run.digest("score"), "fusion": settings}


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the rule on the dev scores, fit the calibration on them; write `fusion.json`."""

    def work() -> dict[str, Any]:
        rows = score.read(run, "dev")
        curves = _search(config, run, rows)
        best = max(curves, key=lambda curve: curve["best_f1"])
        rule = Rule(best["best_weight"], best["entropy"], best["probability"], best["evidence"])
        types = run.facts("data")["types"]
        gold = [row.gold for row in rows]
        baselines = {
            "slm": micro(count(gold, [row.slm.spans for row in rows], types)).f1,
            "llm": micro(count(gold, [row.llm.plain for row in rows if row.llm], types)).f1,
            "fused": best["best_f1"],
        }
        write_json(
            run.path("fusion.json"),
            {
                "rule": resolved(rule),
                "basis": config.llm.probability,
                "baselines": baselines,
                "calibration": _calibrate(rows, rule),
                "budget": resolved(budget.fit(rows, rule)),
                "curves": curves,
            },
        )
        log.info(
            "fusion: lambda %.3f (H by %s, P by %s of %s); dev F1: SLM %.4f, LLM %.4f, fused %.4f",
            rule.weight, rule.entropy, rule.probability, rule.evidence, *baselines.values(),
        )  # fmt: skip
        return {"rule": resolved(rule), **baselines}

    return run.once("tune_fusion", inputs(config, run), work)


def _search(config: Config, run: Run, rows: list[Scored]) -> list[dict[str, Any]]:
    """The whole curve of each pair of reductions."""
    weights = np.linspace(config.fusion.weight_min, config.fusion.weight_max, config.fusion.steps)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, table=to_table(rows), weights=weights), {"cpu": 0.5}),
        param_space={
            "entropy": tune.grid_search(config.fusion.entropy),
            "probability": tune.grid_search(config.fusion.probability),
            "evidence": tune.grid_search(config.fusion.evidence),
        },
        tune_config=tune.TuneConfig(
            metric="best_f1", mode="max", max_concurrent_trials=config.fusion.trials_at_once, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="fusion", verbose=0, **storage(run.path("train"))),
    )
    results: Any = tuner.fit()
    if results.num_errors:
        raise results.errors[0]
    all_results: list[Any] = [results[i] for i in range(len(results))]
    found = [{**result.config, **result.metrics["outcome"]} for result in all_results]
    return sorted(found, key=lambda curve: (curve["entropy"], curve["probability"], curve["evidence"]))


def _trial(reductions: dict[str, str], table: pa.Table, weights: np.ndarray[Any, Any]) -> dict[str, Any]:
    f1 = f1_curve(conflicts(from_table(table), Rule(0.0, **reductions)), weights)
    weight, best = best_weight(weights, f1)
    outcome = {
        "best_weight": weight,
        "best_f1": best,
        "weights": [round(float(w), 6) for w in weights],
        "f1": [round(float(value), 6) for value in f1],
    }
    return {"best_f1": best, "outcome": outcome}


def _calibrate(rows: list[Scored], rule: Rule) -> dict[str, list[float]]:
    """Weights for entities on which the LLM was consulted, and for those that the SLM decides alone."""
    asked = [(d, row) for row in rows for d in fuse(row.slm, row.llm, rule) if d.consulted]
    alone = [(d, row) for row in rows for d in fuse(row.slm, None, rule)]
    return {
        name: calibration.fit([calibration.features(d) for d, _ in found], [d.span in row.gold for d, row in found])
        for name, found in (("with_llm", asked), ("slm_alone", alone))
    }
