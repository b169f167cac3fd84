"""Options that take one of some names, or `module:name` of the user's own."""

import argparse
from collections.abc import Iterable
from typing import Any

from rayner.config.plugins import is_plugin_name


def add_choice_or_plugin(
    parser: argparse.ArgumentParser, option: str, names: Iterable[str], description: str, default: str | None = None
) -> None:
    """Such an option; required where there is no default."""
    known = tuple(names)

    def checked(name: str) -> str:
        if name in known or is_plugin_name(name):
            return name
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(known)} or module:name, found {name!r}")

    said = f"{description}: {', '.join(known)}, or module:name of your own"
    made: Any = parser.add_argument(
        option, type=checked, default=default, required=default is None, metavar="NAME", help=said
    )
    made.completer = lambda prefix, **_: [name for name in known if name.startswith(prefix)]  # for argcomplete
