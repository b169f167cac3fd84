"""Write a configuration as a YAML file that `rayner.config.loading` reads back."""

from typing import Any

import yaml

from rayner.config.settings import config_to_dict


def format_as_yaml(config: Any) -> str:  # noqa: ANN401 - a configuration or a section of one
    """Return all settings of a configuration as YAML, in the order of their declaration."""
    return yaml.safe_dump(config_to_dict(config), allow_unicode=True, sort_keys=False, width=120)
