"""The whole site: made beside the folder where it is to be, and put there when it is whole."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from rayner import __version__
from rayner.corpus.tables import TABLES, iter_documents
from rayner.errors import ConfigError
from rayner.rendering.site_messages import MESSAGES
from rayner.rendering.tagged_text import colours
from rayner.runs.storage import Place, names_in
from rayner.site.corpus import write_corpus, write_disagreements, write_index
from rayner.site.documents import write_documents
from rayner.site.drawing import type_style
from rayner.site.markup import script_json
from rayner.site.pages import Folder
from rayner.site.store import Store

MARK = "rayner-site.json"  # tells a site that may be replaced from any other folder
_ASSETS = Path(__file__).parent / "assets"


class Made(NamedTuple):
    """What a site amounts to: pages, all files, bytes; the largest file in bytes, and which it is."""

    pages: int
    files: int
    bytes: int
    largest: int
    largest_name: str


def make_site(tagged: Place, out: Path, tell: Callable[[int, int], None] = lambda documents, characters: None) -> Made:
    """Make the site of a tagged corpus in the folder `out`, which appears, or replaces an earlier site, as a whole.

    tell: called after each document with the number of documents and characters so far. Raises ConfigError if `out`
    holds something else or another process is making it, DataError if `tagged` is not a tagged corpus.
    """
    out = out.resolve()
    check_out(out)
    iter_documents(tagged)  # raises before anything is written
    made_of = digest(tagged)
    with _beside(out) as making:
        folder = Folder(making)
        base = making / "making.sqlite"
        with closing(Store(base)) as store:
            write_documents(tagged, folder, store, tell)
            write_corpus(store, folder)
            write_index(store, folder)
            write_disagreements(store, folder)
            _write_assets(folder, store.types.names)
        base.unlink()
        made = Made(folder.pages, folder.files + 1, folder.bytes, folder.largest, folder.largest_name)
        mark = {"rayner": __version__, "made_of": made_of, **made._asdict()}
        folder.write(MARK, json.dumps(mark, indent=1) + "\n")
        _put(making, out)
    return made


def is_current(tagged: Place, out: Path) -> bool:
    """Whether `out` is a site that this version made of the tagged corpus as it is now."""
    try:
        mark = json.loads((out / MARK).read_text(encoding="utf-8"))
        return bool(mark["rayner"] == __version__ and mark["made_of"] == digest(tagged))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def digest(tagged: Place) -> str:
    """Of the names, sizes and times of a tagged corpus's files."""
    seen = hashlib.sha256()
    for table in TABLES:
        for name in names_in(tagged / table, "", ".parquet"):
            about = (tagged / table / name).stat()
            seen.update(f"{table}/{name} {about.st_size} {about.st_mtime}\n".encode())
    return seen.hexdigest()


def check_out(out: Path) -> None:
    """Raise ConfigError if the folder `out` holds anything but a site."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out: expected a folder, found a file: {out}")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ConfigError(f"--out: expected a new or empty folder or a site made before, found something else in {out}")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, locked; what an interrupted process left in it is gone."""
    making = out.with_name(f".{out.name}.making")
    making.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(making, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"--out: expected a folder that nobody else works on, found {out} being made") from None
        _empty(making)
        try:
            yield making
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def _put(making: Path, out: Path) -> None:
    """Rename the finished folder to `out`; an earlier site there steps aside first, and goes."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    check_out(out)
    if out.exists():
        out.rename(old)
    making.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _write_assets(folder: Folder, kinds: list[str]) -> None:
    for asset in sorted(_ASSETS.iterdir()):
        folder.write(f"assets/{asset.name}", asset.read_text(encoding="utf-8"))
    folder.write("assets/types.css", type_style(kinds, colours(kinds)))
    folder.write("assets/data.js", f"window.rayner = {script_json({'types': kinds, 'messages': MESSAGES})};\n")
