"""The tuned fusion of a run, and the users' own rules that it may need."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.custom_rule import SETTING, CustomRule
from rayner.fusion.fusion_rule import FusionRule
from rayner.runs.run_folder import Run, read_json, write_json

FUSION_FILE = "fusion.json"


@dataclass(frozen=True)
class _ImportedRule(CustomRule):
    """A user's rule that travels to other processes by name: each imports the user's module for itself."""

    name: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return load_custom_rule, (self.name,)


def load_custom_rule(name: str) -> CustomRule:
    """Import the user's rule `module:name`. Raises ConfigError if the name does not lead to a CustomRule."""
    rule: CustomRule = load_plugin(SETTING, name, CustomRule, "a CustomRule")
    return _ImportedRule(rule.fit, rule.accept, rule.could_change, name)


def load_custom_rules(names: Iterable[str]) -> dict[str, CustomRule]:
    """Import the users' rules among the names of `fusion.rules`; the others are rayner's own."""
    return {name: load_custom_rule(name) for name in names if is_plugin_name(name)}


def read_tuned_fusion(run: Run) -> TunedFusion:
    """Read the run's `fusion.json`. Raises ConfigError if another version of rayner wrote it."""
    path = run.path(FUSION_FILE)
    return TunedFusion.from_json(read_json(path), path)


def write_tuned_fusion(run: Run, fusion: TunedFusion) -> None:
    """Write the run's `fusion.json`."""
    write_json(run.path(FUSION_FILE), fusion.to_json())


def load_chosen_rule(fusion: TunedFusion) -> FusionRule:
    """Return the rule that the search chose. Raises ConfigError if it is a user's and cannot be imported."""
    return fusion.load_rule(fusion.chosen, load_custom_rules([fusion.chosen]))
