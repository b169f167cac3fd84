"""Build the whole site in a folder beside its destination, and move it there when it is complete."""

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
from rayner.corpus.review.estimate_file import ESTIMATE_FILE, read_estimate
from rayner.corpus.run_record import RunRecord, read_run_record
from rayner.corpus.tables import TABLE_NAMES, iter_documents
from rayner.errors import ConfigError, DamagedFileError
from rayner.evaluation.artifact import EVALUATION_FILE, EVALUATION_REMEDY, Evaluation
from rayner.rendering.templates import SHARED_FOLDER
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.rendering.translation import GLOSS_TEXTS
from rayner.rendering.type_styles import assign_type_colours
from rayner.rendering.warnings import translate_warnings
from rayner.runs.json_files import read_json
from rayner.runs.output_folder import MARKER_FILE, check_output_folder, file_has_sha256, write_folder_marker
from rayner.runs.storage import StoragePath, list_file_names
from rayner.site.corpus_pages import write_corpus_and_book_pages, write_disagreement_pages, write_entity_index
from rayner.site.document_pages import write_pages_and_fill_store
from rayner.site.drawing import build_type_stylesheet
from rayner.site.html_text import encode_json_for_script
from rayner.site.pages import SiteFolder
from rayner.site.store import SiteDatabase

SITE_FILE = "rayner-site.json"  # says from which tables the site was built
_PURPOSE = "site"
_ASSETS_FOLDER = Path(__file__).parent / "assets"


class SiteSize(NamedTuple):
    """The number of pages, the number of files, the total size in bytes, and the largest file."""

    pages: int
    files: int
    bytes: int
    largest_bytes: int
    largest_name: str


def build_site(
    tagged: StoragePath, out: Path, report_progress: Callable[[int, int], None] = lambda n_documents, n_chars: None
) -> SiteSize:
    """Build the site of a tagged corpus in the folder `out`.

    The complete site appears in one step. An earlier site in `out` is replaced if it holds no other files and none that
    was changed since.

    Args:
        tagged: The folder of the tagged corpus.
        out: The folder of the site.
        report_progress: Called after each document with the numbers of documents and characters so far.

    Raises:
        ConfigError: `out` contains files that rayner did not write or that were changed since, or another process is
            building this site.
        DataError: `tagged` is not a tagged corpus.

    """
    out = out.resolve()
    check_folder_is_replaceable(out)
    iter_documents(tagged)  # raises DataError before any file is written
    corpus_digest = digest_file_stats(tagged)
    with _lock_build_folder(out) as build_folder:
        record = _read_record(tagged)
        folder = SiteFolder(build_folder, asks_llm=record is None or record.asks_llm)
        database_path = build_folder / "build.sqlite"
        with closing(SiteDatabase(database_path)) as store:
            write_pages_and_fill_store(tagged, folder, store, report_progress)
            silent = {"corpus": record.counts.find_silent_models()} if record else {}
            warnings = translate_warnings(record.scripts, record.markup, silent) if record else []
            write_corpus_and_book_pages(store, folder, warnings, read_estimate(tagged), _read_evaluation_of_run(tagged))
            write_entity_index(store, folder)
            if folder.asks_llm:
                write_disagreement_pages(store, folder)
            _write_assets(folder, store.types.names, store.texts_digest())
        database_path.unlink()
        n_files = folder.files + 2  # with the two that follow
        size = SiteSize(folder.pages, n_files, folder.bytes, folder.largest_bytes, folder.largest_name)
        facts = {"rayner": __version__, "made_of": corpus_digest, **size._asdict()}
        folder.write_text(SITE_FILE, json.dumps(facts, indent=1) + "\n")
        write_folder_marker(build_folder, _PURPOSE, folder.digests)
        _move_into_place(build_folder, out)
    return size


def _read_record(tagged: StoragePath) -> RunRecord | None:
    """Return the record of a tagged corpus; None if it has no `run.json`."""
    try:
        return read_run_record(tagged)
    except FileNotFoundError:
        return None


def _find_evaluation_file(tagged: StoragePath) -> StoragePath | None:
    """Return the path of the scores of the run that holds the tagged corpus as its folder `tagged`."""
    return tagged.parent / EVALUATION_FILE if tagged.name == "tagged" else None


def _read_evaluation_of_run(tagged: StoragePath) -> Evaluation | None:
    """Return the scores of the run; None without scores that this version can read."""
    path = _find_evaluation_file(tagged)
    try:
        return Evaluation.from_json(read_json(path, EVALUATION_REMEDY), path) if path else None
    except (OSError, ConfigError, DamagedFileError):
        return None


def is_up_to_date(tagged: StoragePath, out: Path) -> bool:
    """Whether this version of rayner built the site in `out` from the current files of the tagged corpus."""
    try:
        facts = json.loads((out / SITE_FILE).read_text(encoding="utf-8"))
        return bool(facts["rayner"] == __version__ and facts["made_of"] == digest_file_stats(tagged))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def digest_file_stats(tagged: StoragePath) -> str:
    """Return the SHA-256 of the names, sizes and modification times of the files of a tagged corpus.

    The scores of its run count too, because the site shows them.
    """
    digest = hashlib.sha256()
    names = [f"{table}/{name}" for table in TABLE_NAMES for name in list_file_names(tagged / table, "", ".parquet")]
    for name in [*names, *list_file_names(tagged, ESTIMATE_FILE.removesuffix(".json"), ".json")]:
        stat = (tagged / name).stat()
        digest.update(f"{name} {stat.st_size} {stat.st_mtime}\n".encode())
    evaluation_file = _find_evaluation_file(tagged)
    if evaluation_file and evaluation_file.is_file():
        digest.update(evaluation_file.read_bytes())
    return digest.hexdigest()


def check_folder_is_replaceable(out: Path) -> None:
    """Raise ConfigError if `out` is a file, or a folder with a file that rayner did not write or that was changed."""
    try:
        digests = check_output_folder(out, _PURPOSE)
    except ConfigError as error:
        raise ConfigError(f"--out: {error}") from None
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        is_folder = path.is_dir() and not path.is_symlink()
        if name != MARKER_FILE and not is_folder and not file_has_sha256(path, digests.get(name, "")):
            raise ConfigError(
                f"--out: expected a site as rayner wrote it, found a file that was added or changed: {path}: "
                "move it away, or name another folder. Nothing was written"
            )


@contextmanager
def _lock_build_folder(out: Path) -> Iterator[Path]:
    """Create, lock and yield an empty folder beside `out`. Files of an interrupted build are deleted first."""
    build_folder = out.with_name(f".{out.name}.making")
    build_folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(build_folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"--out: another process builds a site in {out}. Wait for it, or name another folder."
            ) from None
        check_output_folder(build_folder, _PURPOSE)
        _clear_folder(build_folder)
        write_folder_marker(build_folder, _PURPOSE, {})
        try:
            yield build_folder
        except BaseException:
            shutil.rmtree(build_folder, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _clear_folder(folder: Path) -> None:
    """Remove everything but the marker, which says that the rest may be removed."""
    for path in folder.iterdir():
        if path.name != MARKER_FILE:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _move_into_place(build_folder: Path, out: Path) -> None:
    """Rename the complete folder to `out`. An earlier site is first renamed, and deleted at the end."""
    old = out.with_name(f".{out.name}.old")
    check_output_folder(old, _PURPOSE)
    shutil.rmtree(old, ignore_errors=True)
    check_folder_is_replaceable(out)
    if out.exists():
        out.rename(old)
    build_folder.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _write_assets(folder: SiteFolder, types: list[str], texts_digest: str) -> None:
    """Write the style sheets and the scripts. `data.js` contains the list of types and the texts that scripts show.

    texts_digest: By it, scripts keep a person's corrections of different corpora apart.
    """
    for asset in [*sorted(_ASSETS_FOLDER.iterdir()), SHARED_FOLDER / "language.js"]:
        folder.write_text(f"assets/{asset.name}", asset.read_text(encoding="utf-8"))
    folder.write_text("assets/types.css", build_type_stylesheet(types, assign_type_colours(types)))
    texts = {**SHARED_TEXTS, **SITE_TEXTS, **GLOSS_TEXTS}
    data = encode_json_for_script({"types": types, "texts": texts, "asksLlm": folder.asks_llm, "corpus": texts_digest})
    folder.write_text("assets/data.js", f"window.rayner = {data};\n")
