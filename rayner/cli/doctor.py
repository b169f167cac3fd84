"""`rayner doctor`: whether every node of the cluster is fit for a long run."""

import argparse
import os
from typing import Any

from rayner.cli.help_examples import examples_help
from rayner.cluster.environment import set_quiet_environment
from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.errors import ConfigError


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "doctor",
        help="check every node of the cluster before a long run",
        **examples_help(
            "doctor --address HEAD:6379 --config jobs/conf/paper.yaml run=/shared/run train=/shared/labelled.txt"
        ),
    )
    parser.add_argument("--address", help="the cluster's head, HOST:PORT; else RAY_ADDRESS, or this machine")
    parser.add_argument("--config", metavar="FILE.yaml", help="settings; KEY=VALUE arguments go before them")
    settings = parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as run=DIR")
    settings.completer = lambda prefix, **_: [
        f"{info.key}=" for info in iter_settings(Config) if info.key.startswith(prefix)
    ]
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Print a line a check. Raises ConfigError if one failed."""
    config = load_config(given.config, given.overrides)
    if given.address:
        os.environ["RAY_ADDRESS"] = given.address
    set_quiet_environment()
    from rayner.doctor.checks import check_cluster  # which loads Ray

    ok = []
    for finding in check_cluster(config):
        print(finding, flush=True)
        ok.append(finding.ok)
    if not all(ok):
        raise ConfigError(f"expected every check to be ok, found {ok.count(False)} of {len(ok)} that failed; see above")
