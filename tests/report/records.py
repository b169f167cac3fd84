"""Small records of a run for the tests of the report: its evaluation, its fusion, its facts."""

from dataclasses import replace

from rayner.config.settings import Config, config_to_dict
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.fusion.artifact import LoadedRules, TunedFusion, TunedRules
from rayner.fusion.budget import Budget
from rayner.fusion.calibration import Calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import LlmWorth
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.report.run_facts import PartCounts, RunFacts
from tests.report.synthetic import TYPES, rows

SEEN = "蘇秦"  # the only name in TEXT that training showed


def make_evaluation(weight: float = 0.35, n: int = 40, seed: int = 0) -> Evaluation:
    """Return the evaluation of `n` segments under a rule by regions."""
    rules = load_rules(RegionRule(weight))
    return evaluate_fusion(rows(n), rules, rules, TYPES, seed=seed)


def load_rules(rule: RegionRule) -> LoadedRules:
    """Return the rules of a run in which the rule by regions was chosen. The rule by characters has the same lambda."""
    return make_fusion(rule).load_rules({})


def make_fusion(rule: RegionRule, **changes: object) -> TunedFusion:
    """Return the fusion of a run in which the rule by regions was chosen."""
    rules = TunedRules(
        chosen="regions",
        character_rule=CharacterRule(rule.weight),
        region_rule=rule,
        span_rule=SpanRule.unfitted(TYPES, Lexicon({SEEN: {"NR": 1}}, {SEEN: 1})),
        document_rule=None,
        custom_rules={},
        held_out_f1={"characters": 0.4, "regions": 0.6, "spans": 0.5},
        calibration=Calibration(),
    )
    fusion = TunedFusion(
        **vars(rules),
        control=rules,
        llm_worth=LlmWorth(100, 0.8567, 0.8467, 0.01, (-0.02, 0.03)),
        baseline_f1={"slm": 0.8012, "llm": 0.7934, "fused": 0.8567},
        softmax_over="all",
        budget=Budget((0.0,), (0.0,), tuple(0.0 for _ in range(101))),
        curves=(),
    )
    return replace(fusion, **changes)


def make_fusion_without_llm(rule: RegionRule, **changes: object) -> TunedFusion:
    """Return the same fusion of a run without an LLM."""
    baselines = {"slm": 0.8012, "fused": 0.8467}
    fusion = make_fusion(rule, control=None, llm_worth=None, baseline_f1=baselines, softmax_over=None, budget=None)
    return replace(fusion, **changes)


PARTS = {name: PartCounts(1000 * n, 10000 * n, 10 * n) for n, name in enumerate(("train", "dev", "test"), 1)}


def make_run_facts(config: Config, **changes: object) -> RunFacts:
    """Return the facts of a run without a corpus."""
    facts = RunFacts(
        seed=config.seed,
        split=config.split,
        slm=config.slm,
        index=config.index,
        llm=config.llm,
        settings=config_to_dict(config),
        asks_llm=config.llm.model != "none",
        llm_use="the LLM is asked",
        inputs={"train": ["A.txt"]},
        labelled=PARTS,
        labelled_characters=60000,
        held_out_by="block",
        faults={},
        timings={"train_slm": 12.345},
        versions={"rayner": "9.9"},
        models={},
    )
    return replace(facts, **changes)
