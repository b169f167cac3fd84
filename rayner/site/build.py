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
from rayner.corpus.tables import TABLE_NAMES, iter_documents
from rayner.errors import ConfigError
from rayner.rendering.tagged_text import assign_type_colours
from rayner.rendering.templates import SHARED_FOLDER
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.rendering.translation import GLOSS_TEXTS
from rayner.runs.storage import StoragePath, list_file_names
from rayner.site.corpus_pages import write_corpus_pages, write_disagreement_pages, write_entity_index
from rayner.site.document_pages import write_document_pages
from rayner.site.drawing import type_stylesheet
from rayner.site.html_text import json_for_script
from rayner.site.pages import SiteFolder
from rayner.site.store import SiteDatabase

MARKER_FILE = "rayner-site.json"  # tells a site that may be replaced from any other folder
_ASSETS = Path(__file__).parent / "assets"


class SiteSize(NamedTuple):
    """What a site amounts to: pages, all files, bytes; the largest file in bytes, and which it is."""

    pages: int
    files: int
    bytes: int
    largest_bytes: int
    largest_name: str


def build_site(
    tagged: StoragePath, out: Path, report_progress: Callable[[int, int], None] = lambda documents, characters: None
) -> SiteSize:
    """Make the site of a tagged corpus in the folder `out`, which appears, or replaces an earlier site, as a whole.

    tell: called after each document with the number of documents and characters so far. Raises ConfigError if `out`
    holds something else or another process is making it, DataError if `tagged` is not a tagged corpus.
    """
    out = out.resolve()
    check_output_folder(out)
    iter_documents(tagged)  # raises before anything is written
    made_of = digest_file_stats(tagged)
    with _locked_build_folder(out) as making:
        folder = SiteFolder(making)
        base = making / "making.sqlite"
        with closing(SiteDatabase(base)) as store:
            write_document_pages(tagged, folder, store, report_progress)
            write_corpus_pages(store, folder)
            write_entity_index(store, folder)
            write_disagreement_pages(store, folder)
            _write_assets(folder, store.types.names)
        base.unlink()
        made = SiteSize(folder.pages, folder.files + 1, folder.bytes, folder.largest, folder.largest_name)
        mark = {"rayner": __version__, "made_of": made_of, **made._asdict()}
        folder.write_text(MARKER_FILE, json.dumps(mark, indent=1) + "\n")
        _move_into_place(making, out)
    return made


def is_up_to_date(tagged: StoragePath, out: Path) -> bool:
    """Whether `out` is a site that this version made of the tagged corpus as it is now."""
    try:
        mark = json.loads((out / MARKER_FILE).read_text(encoding="utf-8"))
        return bool(mark["rayner"] == __version__ and mark["made_of"] == digest_file_stats(tagged))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def digest_file_stats(tagged: StoragePath) -> str:
    """Of the names, sizes and times of a tagged corpus's files."""
    seen = hashlib.sha256()
    for table in TABLE_NAMES:
        for name in list_file_names(tagged / table, "", ".parquet"):
            about = (tagged / table / name).stat()
            seen.update(f"{table}/{name} {about.st_size} {about.st_mtime}\n".encode())
    return seen.hexdigest()


def check_output_folder(out: Path) -> None:
    """Raise ConfigError if the folder `out` holds anything but a site."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out: expected a folder, found a file: {out}")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER_FILE).is_file():
        raise ConfigError(f"--out: expected a new or empty folder or a site made before, found something else in {out}")


@contextmanager
def _locked_build_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, locked; what an interrupted process left in it is gone."""
    making = out.with_name(f".{out.name}.making")
    making.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(making, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"--out: expected a folder that nobody else works on, found {out} being made") from None
        _clear_folder(making)
        try:
            yield making
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _clear_folder(folder: Path) -> None:
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def _move_into_place(making: Path, out: Path) -> None:
    """Rename the finished folder to `out`; an earlier site there steps aside first, and goes."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    check_output_folder(out)
    if out.exists():
        out.rename(old)
    making.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _write_assets(folder: SiteFolder, types: list[str]) -> None:
    """Write the style sheets and the scripts. data.js holds the types by number and the texts of the scripts."""
    for asset in [*sorted(_ASSETS.iterdir()), SHARED_FOLDER / "language.js"]:
        folder.write_text(f"assets/{asset.name}", asset.read_text(encoding="utf-8"))
    folder.write_text("assets/types.css", type_stylesheet(types, assign_type_colours(types)))
    data = json_for_script({"types": types, "texts": {**SHARED_TEXTS, **SITE_TEXTS, **GLOSS_TEXTS}})
    folder.write_text("assets/data.js", f"window.rayner = {data};\n")
