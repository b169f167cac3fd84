"""`rayner doctor`: check every node of the cluster before a long run."""

import argparse
import os
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.cluster.environment import set_quiet_environment
from rayner.config.declare import iter_settings
from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.errors import ConfigError
from rayner.text.credentials import hide_credentials


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner doctor`."""
    parser = commands.add_parser(
        "doctor",
        **parser_kwargs_with_examples(
            "doctor --address HEAD:6379 --config jobs/conf/paper.yaml run=/shared/run train=/shared/labelled.txt"
        ),
    )
    parser.add_argument("--address", help="head of the cluster, HOST:PORT (default: RAY_ADDRESS, else this machine)")
    parser.add_argument("--config", metavar="FILE.yaml", help="file of settings; KEY=VALUE arguments override it")
    settings = parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="a setting, such as run=DIR")
    settings.completer = lambda prefix, **_: [
        f"{info.key}=" for info in iter_settings(Config) if info.key.startswith(prefix)
    ]
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Check the cluster and print one line per check. Raises ConfigError if a check failed."""
    config = load_config(args.config, args.overrides)
    if args.address:
        os.environ["RAY_ADDRESS"] = args.address
    set_quiet_environment()
    from rayner.doctor.checks import check_cluster  # this imports Ray

    ok = []
    for finding in check_cluster(config):
        print(hide_credentials(str(finding)), flush=True)
        ok.append(finding.ok)
    if not all(ok):
        raise ConfigError(f"expected every check to be ok, found {ok.count(False)} of {len(ok)} that failed; see above")
