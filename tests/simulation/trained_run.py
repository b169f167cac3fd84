"""The files of a trained run, as far as tagging reads them."""

import hashlib
import json

from rayner.fusion.artifact import TunedFusion, TunedRules
from rayner.fusion.budget import Budget
from rayner.fusion.calibration import Calibration
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.control import LlmWorth
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.runs.step_manifest import StepManifest
from tests.simulation.corpora import CORPORA
from tests.simulation.models import LABELS, TYPES

RULE = RegionRule(0.33, "mean", "product", "slots")
OTHER_RULE = RegionRule(0.36, "max", "mean", "entities")


def make_fusion_file(rule: RegionRule) -> bytes:
    """Return the content of `fusion.json` for a rule by regions."""
    rules = TunedRules(
        chosen="regions",
        character_rule=CharacterRule(0.33),
        region_rule=rule,
        span_rule=SpanRule.unfitted(TYPES, Lexicon({}, {})),
        document_rule=None,
        custom_rules={},
        held_out_f1={"regions": 0.9},
        calibration=Calibration(with_llm=(0.5, -1.0, 0.5, 0.2, 0.3, 0.4), slm_alone=(1.0, -2.0)),
    )
    fusion = TunedFusion(
        **vars(rules),
        control=rules,
        llm_worth=LlmWorth(100, 0.9, 0.8, 0.1, (0.05, 0.15)),
        baseline_f1={"slm": 0.8, "llm": 0.85, "fused": 0.9},
        softmax_over="allowed",
        budget=Budget((0.0, 0.5), (0.0, 0.5), tuple(1 - i / 100 for i in range(101))),
        curves=(),
    )
    return json.dumps(fusion.to_json(), ensure_ascii=False).encode()


def make_run_files() -> dict[str, bytes]:
    """Return the files of a trained run, by their paths in the run folder."""
    characters = {char for corpus in CORPORA.values() for text in corpus.texts.values() for char in text}
    steps = ("data", "train_slm", "build_index", "train_llm", "score", "tune_fusion")
    description = {"format_version": 1, "labels": LABELS, "characters": "".join(sorted(characters))}
    trees = {
        "models/slm/rayner.json": description,
        **{
            f"steps/{step}.json": StepManifest(
                {}, {"digest": hashlib.sha256(step.encode()).hexdigest(), "seconds": 1.0}
            ).to_json()
            for step in steps
        },
    }
    files = {name: json.dumps(tree, ensure_ascii=False).encode() for name, tree in trees.items()}
    return {**files, "fusion.json": make_fusion_file(RULE), "data/train.jsonl": b""}
