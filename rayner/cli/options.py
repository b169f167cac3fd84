"""Options whose value is one of several names, or the user's own code as `module:name`."""

import argparse
from collections.abc import Iterable
from typing import Any

from rayner.config.plugins import is_plugin_name
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
