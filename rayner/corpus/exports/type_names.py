"""What a user calls types: a YAML file of `TYPE: name`."""

from pathlib import Path

from rayner.config.loading import parse_yaml
from rayner.errors import ConfigError


def read_type_names(path: str | Path) -> dict[str, str]:
    """The names by type. Raises ConfigError, naming the file, for anything but types and their names."""
    try:
        tree = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected a YAML file, found: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected types and their names, found {type(tree).__name__}")
    for kind, name in tree.items():
        if not all(isinstance(part, str) and part for part in (kind, name)):
            # YAML reads a bare NO as false.
            raise ConfigError(
                f"{path}: expected TYPE: name, both text (in quotes if need be), found {kind!r}: {name!r}"
            )
    return tree
