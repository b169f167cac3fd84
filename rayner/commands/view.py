"""`rayner view`: a tagged corpus as a static site to read, search and check."""

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rayner.errors import ConfigError
from rayner.report.site.make import make_site
from rayner.report.site.serve import server
from rayner.storage import is_url, place

PORT = 8300
_SECONDS = 5.0  # between two lines of progress


def add(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """What it takes."""
    parser = commands.add_parser("view", help="make a site of a tagged corpus, to look at in a browser")
    parser.add_argument("tagged", help="folder of the tagged corpus")
    parser.add_argument("--out", metavar="DIR", help="folder of the site: new, empty or a site (TAGGED/site)")
    parser.add_argument("--serve", action="store_true", help="also serve it, to browsers of this machine only")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to serve it at; 0: any that is free ({PORT})")
    parser.set_defaults(call=run)


def run(given: argparse.Namespace) -> None:
    """Make the site, say how large it is and, if asked to, serve it until interrupted."""
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
    made = make_site(place(given.tagged), out, _progress())
    size = f"{made.pages} pages, {made.files} files, {made.bytes / 1e6:.1f} MB"
    print(f"{out}: {size}; the largest, {made.largest_name}: {made.largest / 1e6:.2f} MB", flush=True)
    if given.serve:
        _serve(out, given.port)
    else:
        print(f"open {(out / 'index.html').absolute().as_uri()}")


def _serve(out: Path, port: int) -> None:
    try:
        serving = server(out, port)
    except OSError as error:
        raise ConfigError(f"--port: expected a port that is free, found {port}: {error.strerror}") from None
    with closing(serving.socket), serving:
        print(f"http://{serving.server_address[0]!s}:{serving.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


def _progress() -> Any:  # noqa: ANN401 - a function
    """Says now and then how far the documents are."""
    last = time.monotonic()

    def tell(documents: int, characters: int) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS:
            last = time.monotonic()
            print(f"{documents:,} documents, {characters:,} characters", file=sys.stderr, flush=True)

    return tell
