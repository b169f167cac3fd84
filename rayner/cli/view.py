"""`rayner view`: a tagged corpus as a static site to read, search and check."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import examples_help
from rayner.errors import ConfigError
from rayner.runs.progress import print_to_stderr, rate_limited
from rayner.runs.storage import is_url, storage_path
from rayner.site.build import build_site, is_up_to_date
from rayner.site.serve import LOOPBACK, create_server

PORT = 8300


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser(
        "view",
        help="make a site of a tagged corpus, to look at in a browser",
        **examples_help("view runs/mine/tagged --serve", "view runs/mine/tagged --out SITE"),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus")
    parser.add_argument("--out", metavar="DIR", help="folder of the site: new, empty or a site (TAGGED/site)")
    parser.add_argument("--serve", action="store_true", help="also serve it, to browsers of this machine only")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to serve it at; 0: any that is free ({PORT})")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Make the site, say how large it is and, if asked to, serve it until interrupted.

    A site that is to be served is made only if the corpus has changed since.
    """
    if not 0 <= given.port < 65536:
        raise ConfigError(f"--port: expected 0 to 65535, found {given.port}")
    if given.out and is_url(given.out):
        raise ConfigError(f"--out: expected a folder of this machine, found {given.out}")
    if given.out or not is_url(given.tagged):
        return _make(given, Path(given.out) if given.out else Path(given.tagged, "site"))
    if not given.serve:
        raise ConfigError("--out: expected a folder of this machine, as the corpus lies at a URL, found none")
    with tempfile.TemporaryDirectory() as folder:
        return _make(given, Path(folder, "site"))


def _make(given: argparse.Namespace, out: Path) -> None:
    if not given.serve:
        _make_site(given.tagged, out)
        print(f"open {(out / 'index.html').absolute().as_uri()}")
        return
    try:
        serving = create_server(out, given.port)
    except OSError as error:
        raise ConfigError(f"--port: expected a port that is free, found {given.port}: {error.strerror}") from None
    with serving:
        if is_up_to_date(storage_path(given.tagged), out):
            print(f"{out}: made before, of the corpus as it is")
        else:
            _make_site(given.tagged, out)
        print(f"http://{LOOPBACK}:{serving.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


def _make_site(tagged: str, out: Path) -> None:
    tell = rate_limited(print_to_stderr)
    made = build_site(storage_path(tagged), out, lambda done, read: tell(f"{done:,} documents, {read:,} characters"))
    size = f"{made.pages:,} pages, {made.files:,} files, {made.bytes / 1e6:.1f} MB"
    print(f"{out}: {size}; the largest, {made.largest_name}: {made.largest_bytes / 1e6:.2f} MB", flush=True)
