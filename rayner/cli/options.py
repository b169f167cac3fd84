"""Options that several commands have: names or the user's own code as `module:name`, and JSON files to write."""

import argparse
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from rayner.config.plugins import is_plugin_name
from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.json_files import read_json
from rayner.text.messages import shorten_repr


def add_choice_or_plugin(
    parser: argparse.ArgumentParser, option: str, names: Iterable[str], description: str, default: str | None = None
) -> None:
    """Add an option whose value is one of `names` or a `module:name`.

    The option is required if it has no default.
    """
    choices = tuple(names)

    def parse_name(name: str) -> str:
        if name in choices or is_plugin_name(name):
            return name
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(choices)} or module:name, found {shorten_repr(name)}"
        )

    help_text = f"{description}: {', '.join(choices)}, or module:name of your own"
    argument: Any = parser.add_argument(
        option, type=parse_name, default=default, required=default is None, metavar="NAME", help=help_text
    )
    argument.completer = lambda prefix, **_: [name for name in choices if name.startswith(prefix)]  # for argcomplete


def require_new_file_or_keys(
    option: str, path: Path, keys: Collection[str], content: str, *, required: Collection[str] = ()
) -> None:
    """Check that a file to write does not exist, or is a JSON file that the same command wrote.

    Args:
        option: The option that names the file.
        path: The file.
        keys: The keys that such a file may have.
        content: What such a file holds, in words.
        required: Those of the keys that it must have; none for all.

    Raises:
        ConfigError: It is another file.

    """
    try:
        if not os.path.lexists(path) or set(required or keys) <= set(read_json(path)) <= set(keys):
            return
    except (DamagedFileError, FileNotFoundError, TypeError):
        pass
    raise ConfigError(f"{option}: expected a new file, or one with {content}, found another: {path}")
