"""Step tune_fusion: find the fusion rule with Ray Tune (`fusion_search`), and say what the LLM is worth.

The same search runs again with every LLM answer empty. Its result is the LLM-free control (`fusion.control`). Without
an LLM, this is the only search.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rayner.config.conditions import has_llm
from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.config.writing import format_as_yaml
from rayner.evaluation.llm_worth import compare_with_control
from rayner.evaluation.metrics import micro_f1
from rayner.fusion.artifact import TunedFusion, TunedRules
from rayner.fusion.budget import fit_budget
from rayner.fusion.calibration import fit_calibration
from rayner.fusion.control import LlmWorth
from rayner.fusion.custom_rule import CustomRule
from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FittingSample, FusionRule
from rayner.fusion.learned.lexicon import build_lexicon
from rayner.fusion.weight_search import WeightCurve
from rayner.runs.progress import log
from rayner.runs.run_folder import SETTINGS_FILE, Run
from rayner.runs.storage import atomic_writer
from rayner.steps import data
from rayner.steps.fusion_rules import load_custom_rules, write_tuned_fusion
from rayner.steps.fusion_search import (
    RuleSearch,
    Trial,
    build_searches,
    choose_rules,
    list_spans_by_segment,
    run_trials,
    sort_curves,
)
from rayner.steps.tag.tagging_rule import describe_llm_use
from rayner.steps.training.cross_fit import read_tuning_predictions_and_lexicons


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings and digests that the fusion rule depends on."""
    steps = ["score", *(["cross_fit"] if config.split.folds else [])]
    return {**step_settings(config, "tune_fusion"), **{step: run.digest_step_manifest(step) for step in steps}}


def tune_fusion(config: Config, run: Run) -> dict[str, Any]:
    """Find the fusion rule and its LLM-free control on the held-out sentences, and write `fusion.json`.

    Also fit the calibration and the budget on held-out sentences. The budget estimates for which sentences the LLM
    would change most. In a run without an LLM, the control is the only rule.
    """

    def compute() -> dict[str, Any]:
        fusion = _fit_fusion(config, run)
        write_tuned_fusion(run, fusion)
        _log_choice(fusion, config)
        result = {
            "rule": fusion.region_rule.to_json(),
            "chosen": fusion.chosen,
            "held_out": dict(fusion.held_out_f1),
            **fusion.baseline_f1,
        }
        if fusion.control is not None and fusion.llm_worth is not None:
            result |= {
                "control_chosen": fusion.control.chosen,
                "control_held_out": dict(fusion.control.held_out_f1),
                "llm_worth": fusion.llm_worth.describe(),
            }
        return result

    step_result = run.run_step("tune_fusion", collect_manifest_inputs(config, run), compute)
    run.remove_resume_files("fusion")
    _write_settings(config, run)
    return step_result


def _write_settings(config: Config, run: Run) -> None:
    """Write `settings.yaml`, with which others tag by this run. It is kept up to date, also if the step is done."""
    with atomic_writer(run.path(SETTINGS_FILE)) as stream:
        stream.write(format_as_yaml(config).encode())


@dataclass(frozen=True)
class _SearchResult:
    """The rules that a search found.

    rules: the rules, with the calibration of the chosen one.
    chosen: the chosen rule.
    held_out: the entities of each segment, decided by the chosen rule fitted without it.
    curves: F1 at each lambda of the rules by regions.
    """

    rules: TunedRules
    chosen: FusionRule
    held_out: Sequence[Sequence[FusedEntity]]
    curves: tuple[WeightCurve, ...]

    @property
    def f1(self) -> float:
        """The held-out F1 of the chosen rule."""
        return self.rules.held_out_f1[self.rules.chosen]


def _fit_fusion(config: Config, run: Run) -> TunedFusion:
    """Return the fusion, with its control if there is an LLM."""
    sample = _read_sample(config, run)
    custom_rules = load_custom_rules(config.fusion.rules)
    searches = build_searches(sample, custom_rules, config)
    results = [
        _finish_search(search, trials, custom_rules, config)
        for search, trials in zip(searches, run_trials(searches, run, config.fusion), strict=True)
    ]
    slm_f1 = micro_f1(sample.gold_by_segment, [segment.slm.spans for segment in sample.segments], sample.types)
    fused = results[0]
    fusion = TunedFusion(
        **vars(fused.rules),
        control=None,
        llm_worth=None,
        baseline_f1={"slm": slm_f1, "fused": fused.f1},
        softmax_over=None,
        budget=None,
        curves=fused.curves,
    )
    if not has_llm(config):
        return fusion
    control = results[1]
    return replace(
        fusion,
        control=control.rules,
        llm_worth=_compare_held_out(sample, fused.held_out, control.held_out, config.seed),
        baseline_f1={
            "slm": slm_f1,
            "llm": micro_f1(
                sample.gold_by_segment,
                [segment.llm.spans if segment.llm else () for segment in sample.segments],
                sample.types,
            ),
            "fused": fused.f1,
            "control": control.f1,
        },
        softmax_over=config.llm.softmax_over,
        # Only sentences that are not in the lexicon, because the corpus's sentences are not in it either.
        budget=fit_budget([s for s in sample.segments if s.doc_id not in sample.fold_lexicons], fused.chosen),
    )


def _finish_search(
    search: RuleSearch, trials: Sequence[Trial], custom_rules: Mapping[str, CustomRule], config: Config
) -> _SearchResult:
    """Choose among the rules that the trials fitted, and calibrate the chosen one."""
    rules = choose_rules(trials, config)
    chosen = rules.load_rule(rules.chosen, custom_rules)
    held_out = search.decide_held_out(chosen)
    calibration = fit_calibration(search.sample.segments, held_out, chosen, search.sample.types)
    return _SearchResult(replace(rules, calibration=calibration), chosen, held_out, tuple(sort_curves(trials)))


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


def _compare_held_out(
    sample: FittingSample,
    fused: Sequence[Sequence[FusedEntity]],
    controlled: Sequence[Sequence[FusedEntity]],
    seed: int,
) -> LlmWorth:
    spans, control_spans = list_spans_by_segment(fused), list_spans_by_segment(controlled)
    worth = compare_with_control(sample.segments, spans, control_spans, sample.types, seed=seed)
    if worth is None:
        raise ValueError("a fusion needs held-out sentences")
    return worth


def _log_choice(fusion: TunedFusion, config: Config) -> None:
    """Log the rules with their F1, what the LLM is worth on the held-out sentences, and whether tagging asks it."""
    rule = fusion.region_rule
    baselines = ", ".join(
        f"{name.upper()} {fusion.baseline_f1[name]:.4f}" for name in ("slm", "llm") if name in fusion.baseline_f1
    )
    log.info(
        "fusion: lambda %.3f by characters; %.3f by regions (H by %s, P by %s of %s); held-out F1 of rules by %s: "
        "chosen %s; %s",
        fusion.character_rule.weight, rule.weight, rule.entropy_reduction, rule.llm_reduction, rule.llm_confidence,
        _list_f1(fusion), fusion.chosen, baselines,
    )  # fmt: skip
    if fusion.control is not None and fusion.llm_worth is not None:
        log.info(
            "fusion: its control without the LLM: held-out F1 of rules by %s: chosen %s",
            _list_f1(fusion.control), fusion.control.chosen,
        )  # fmt: skip
        log.info("fusion: on %d held-out sentences: %s", fusion.llm_worth.n_sentences, fusion.llm_worth.describe())
    log.info("fusion: while tagging, %s", describe_llm_use(config, fusion))


def _list_f1(rules: TunedRules) -> str:
    return ", ".join(f"{name} {f1:.4f}" for name, f1 in rules.held_out_f1.items())
