"""Read the user's names of entity types from a YAML file with lines `TYPE: name`."""

from pathlib import Path

from rayner.config.loading import parse_yaml
from rayner.errors import ConfigError


def read_type_names(path: str | Path) -> dict[str, str]:
    """Read the name of each type. Raises ConfigError, which names the file, if it contains anything else."""
    try:
        tree = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected a YAML file, found: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected types and their names, found {type(tree).__name__}")
    for entity_type, name in tree.items():
        if not all(isinstance(part, str) and part for part in (entity_type, name)):
            # YAML reads a bare NO as false.
            raise ConfigError(
                f"{path}: expected TYPE: name, both text (in quotes if need be), found {entity_type!r}: {name!r}"
            )
    return tree
