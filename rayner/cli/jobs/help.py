"""The settings in a job's help: those that people need first, or all."""

import argparse
import textwrap
from collections.abc import Collection, Sequence
from typing import Any

from rayner.config.declare import SettingInfo, iter_settings
from rayner.config.settings import Config


def settings_help(command: str) -> str:
    """Return the settings that people need first, and how to see all, as `--help` prints them."""
    shown = [info for info in iter_settings(Config) if info.declaration.essential]
    return (
        f"{_format_settings('settings that people need first (default):', shown)}\n\nall settings: {command} --help all"
    )


def all_settings_help(roots: Collection[str] = ()) -> str:
    """Return the settings with their meanings and defaults, as `--help all` prints them.

    roots: the sections, and the settings without a section, that are shown; empty for all.
    """
    shown = [info for info in iter_settings(Config) if not roots or info.key.partition(".")[0] in roots]
    return _format_settings("settings (default):", shown)


def _format_settings(title: str, settings: Sequence[SettingInfo]) -> str:
    lines = [title]
    for info in settings:
        has_example = isinstance(info.default, dict) and info.default
        text = info.help_text if has_example else f"{info.help_text} ({info.default!r})"
        lines += textwrap.wrap(text, 110, initial_indent=f"  {info.key:<30} ", subsequent_indent=" " * 33)
    return "\n".join(lines)


class _HelpAction(argparse.Action):
    """Print the help and end; with the value `all`, every setting too."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - as in argparse
        option_string: str | None = None,
    ) -> None:
        if values == "all":
            parser.epilog = all_settings_help()
        parser.print_help()
        parser.exit()


def add_help_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--help`, which takes the word `all`."""
    parser.add_argument(
        "-h", "--help", nargs="?", metavar="all", action=_HelpAction, dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS, help="show the settings that people need first; with `all`, every setting",
    )  # fmt: skip
