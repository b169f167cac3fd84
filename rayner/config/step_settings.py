"""Select the settings that a step depends on, from their declarations.

If one of these settings changes, a run folder refuses to continue with the earlier result of the step.
"""

from functools import cache
from typing import Any

from rayner.config.declare import SettingInfo, StepIf, iter_settings
from rayner.config.plugins import name_with_fingerprint
from rayner.config.settings import Config, get_setting


def step_settings(config: Config, step: str) -> dict[str, Any]:
    """Return the settings on which the outcome of a step depends, by dotted key.

    If a setting names the user's own code, its value includes a fingerprint (a digest of the module's file). Settings
    declared `by_content` are left out, because the step itself adds a digest of the text that such a setting names.
    Raises ConfigError if the user's code cannot be imported.
    """
    values = {}
    for info in _list_settings():
        if step_reads_setting(config, step, info) and not info.declaration.by_content:
            value = get_setting(config, info.key)
            values[info.key] = _names_with_fingerprints(info.key, value) if info.declaration.accepts_plugin else value
    return values


def step_reads_setting(config: Config, step: str, info: SettingInfo) -> bool:
    """Return whether the outcome of a step depends on a setting in this configuration."""
    for each in info.steps or ():
        if each == step or (isinstance(each, StepIf) and each.step == step and each.condition(config)):
            return True
    return False


@cache
def _list_settings() -> tuple[SettingInfo, ...]:
    return tuple(iter_settings(Config))


def _names_with_fingerprints(key: str, value: str | list[str]) -> str | list[str]:
    if isinstance(value, list):
        return [name_with_fingerprint(key, name) for name in value]
    return name_with_fingerprint(key, value)
