"""`rayner view`: make a static web site for reading, searching and checking a tagged corpus."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rayner.cli.help_examples import parser_kwargs_with_examples
from rayner.corpus.tables import find_tagged_folder
from rayner.errors import ConfigError
from rayner.runs.progress import print_to_stderr, rate_limited
from rayner.runs.storage import is_url, storage_path
from rayner.site.build import build_site, is_up_to_date
from rayner.site.serve import LOOPBACK, create_server

PORT = 8300


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse gives its subparsers no public type
    """Add the parser of `rayner view`."""
    parser = commands.add_parser(
        "view",
        **parser_kwargs_with_examples("view runs/mine/tagged --serve", "view runs/mine/tagged --out SITE"),
    )
    parser.add_argument("tagged", help="folder of the tagged corpus, or its run folder")
    parser.add_argument("--out", metavar="DIR", help="folder of the site: new, empty, or an earlier site (TAGGED/site)")
    parser.add_argument("--serve", action="store_true", help="also serve it, to browsers on this machine only")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to serve it at; 0: any free port ({PORT})")
    parser.set_defaults(call=run)


def run(args: argparse.Namespace) -> None:
    """Make the site and print its size. With --serve, also serve the site until interrupted.

    With --serve, an existing site is not made again if the corpus has not changed.
    """
    if not 0 <= args.port < 65536:
        raise ConfigError(f"--port: expected 0 to 65535, found {args.port}")
    if args.out and is_url(args.out):
        raise ConfigError(f"--out: expected a folder on this machine, found {args.out}")
    args.tagged = str(find_tagged_folder(storage_path(args.tagged)))
    if args.out or not is_url(args.tagged):
        return _build_and_serve_site(args, Path(args.out) if args.out else Path(args.tagged, "site"))
    if not args.serve:
        raise ConfigError("--out: expected a folder on this machine, because the corpus lies at a URL, found none")
    with tempfile.TemporaryDirectory() as folder:
        return _build_and_serve_site(args, Path(folder, "site"))


def _build_and_serve_site(args: argparse.Namespace, out: Path) -> None:
    if not args.serve:
        _build_site_and_print_size(args.tagged, out)
        print(f"open {(out / 'index.html').absolute().as_uri()}")
        return
    try:
        server = create_server(out, args.port)
    except OSError as error:
        raise ConfigError(f"--port: expected a free port, found {args.port}: {error.strerror}") from None
    with server:
        if is_up_to_date(storage_path(args.tagged), out):
            print(f"{out}: up to date")
        else:
            _build_site_and_print_size(args.tagged, out)
        print(f"http://{LOOPBACK}:{server.server_port}/ (Ctrl-C stops it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)


def _build_site_and_print_size(tagged: str, out: Path) -> None:
    print_progress = rate_limited(print_to_stderr)
    site = build_site(
        storage_path(tagged),
        out,
        lambda n_documents, n_chars: print_progress(f"{n_documents:,} documents, {n_chars:,} characters"),
    )
    size = f"{site.pages:,} pages, {site.files:,} files, {site.bytes / 1e6:.1f} MB"
    print(f"{out}: {size}; the largest, {site.largest_name}: {site.largest_bytes / 1e6:.2f} MB", flush=True)
