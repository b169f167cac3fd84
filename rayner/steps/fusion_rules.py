"""Read and write the tuned fusion of a run, and load the users' own rules that it may need."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.fusion.artifact import FUSION_REMEDY, LoadedRules, TunedFusion, TunedRules
from rayner.fusion.control import RuleWithoutLlm
from rayner.fusion.custom_rule import SETTING, CustomRule
from rayner.fusion.fusion_rule import FusionRule
from rayner.runs.json_files import read_json, write_json
from rayner.runs.run_folder import Run

FUSION_FILE = "fusion.json"


@dataclass(frozen=True)
class _ImportedRule(CustomRule):
    """A user's rule that is pickled as its name. A process that unpickles it imports the user's module again."""

    name: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return load_custom_rule, (self.name,)


def load_custom_rule(name: str) -> CustomRule:
    """Import the user's rule that `module:name` refers to.

    Raises ConfigError if the import fails or the value is not a CustomRule.
    """
    rule: CustomRule = load_plugin(SETTING, name, CustomRule, "a CustomRule")
    return _ImportedRule(rule.fit, rule.accept, rule.could_change, name)


def load_custom_rules(names: Iterable[str]) -> dict[str, CustomRule]:
    """Import the users' rules in `fusion.rules`, and return them by name. Built-in rules are left out."""
    return {name: load_custom_rule(name) for name in names if is_plugin_name(name)}


def read_tuned_fusion(run: Run) -> TunedFusion:
    """Read the run's `fusion.json`.

    Raises ConfigError if another version of rayner wrote it, DamagedFileError if it is damaged.
    """
    path = run.path(FUSION_FILE)
    return TunedFusion.from_json(read_json(path, FUSION_REMEDY), path)


def write_tuned_fusion(run: Run, fusion: TunedFusion) -> None:
    """Write the run's `fusion.json`."""
    write_json(run.path(FUSION_FILE), fusion.to_json())


def load_chosen_rule(fusion: TunedFusion) -> FusionRule:
    """Return the rule that the search chose. In a run without an LLM, it reads no LLM answer.

    Raises ConfigError if it is a user's rule and cannot be imported.
    """
    rule = load_rules(fusion).chosen
    return rule if fusion.has_llm else RuleWithoutLlm(rule)


def load_rules(rules: TunedRules) -> LoadedRules:
    """Return the rule that a search chose and the built-in rules that it fitted.

    Raises ConfigError if the chosen rule is a user's rule and cannot be imported.
    """
    return rules.load_rules(load_custom_rules([rules.chosen]))
