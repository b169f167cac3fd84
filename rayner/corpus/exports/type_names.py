"""Read the user's names of entity types from a YAML file with lines `TYPE: name`."""

from pathlib import Path

from rayner.config.yaml_reading import read_yaml_file
from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr


def read_type_names(path: str | Path) -> dict[str, str]:
    """Read the name of each type. Raises ConfigError, which names the file, if it contains anything else."""
    try:
        tree = read_yaml_file(path)
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file, found: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: expected a YAML file, found: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected types and their names, found {type(tree).__name__}")
    for entity_type, name in tree.items():
        if not all(isinstance(part, str) and part for part in (entity_type, name)):
            # YAML reads a bare NO as false.
            raise ConfigError(
                f"{path}: expected TYPE: name, both text (in quotes if need be), found {shorten_repr(entity_type)}: "
                f"{shorten_repr(name)}"
            )
    return tree
