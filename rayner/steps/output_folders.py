"""The folders that a job writes: they must be new or rayner's own, and separate from everything that the job reads."""

from collections.abc import Iterator
from functools import partial

from rayner.config.settings import Config
from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.folder_nesting import is_same_or_inside
from rayner.runs.json_files import read_json
from rayner.runs.output_folder import RUN_PURPOSE, TAGGED_PURPOSE, check_output_folder, mark_output_folder_as_ours
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, list_file_names, storage_path
from rayner.text.messages import shorten_repr

_TAGGING_STEPS = frozenset(("plan", "tag_corpus", "evahan"))
# Folders that steps write into the run folder. A step removes what it finds there.
_FOLDERS_OF_A_RUN = ("data", "models", "index", "scores", "scratch", "train", "folds", "slm_folds", "steps", "tables")


def output_folder(config: Config, run: Run) -> StoragePath:
    """Return the folder of the tagged corpus."""
    return storage_path(config.out) if config.out else run.path("tagged")


def check_job_folders(config: Config, run: Run, *, tags_corpus: bool) -> None:
    """Check the folders that a job writes. Write nothing.

    tags_corpus: whether the job writes the tagged corpus.

    Raises:
        ConfigError: An output folder holds other files, or it overlaps with an input or with the other output folder.

    """
    check_nesting(config, run)
    folders = [("run", run.root, RUN_PURPOSE)]
    if tags_corpus:
        folders.append(("out", output_folder(config, run), TAGGED_PURPOSE))
    for key, folder, purpose in folders:
        try:
            check_output_folder(folder, purpose, partial(_has_manifests, purpose=purpose))
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from None
        except OSError as error:  # such as a name that is too long
            found = f"{shorten_repr(str(folder))}: {error.strerror or error}"
            raise ConfigError(f"{key}: expected a folder, found {found}") from None


def mark_run_folder_as_ours(run: Run) -> None:
    """Mark a run folder as rayner's. Raises ConfigError if it holds other files."""
    mark_output_folder_as_ours(run.root, RUN_PURPOSE, partial(_has_manifests, purpose=RUN_PURPOSE))


def mark_tagged_folder_as_ours(config: Config, run: Run) -> None:
    """Mark the folder of the tagged corpus as rayner's.

    Raises ConfigError if it holds other files, or overlaps with an input.
    """
    check_nesting(config, run)
    mark_output_folder_as_ours(
        output_folder(config, run), TAGGED_PURPOSE, partial(_has_manifests, purpose=TAGGED_PURPOSE)
    )


def check_nesting(config: Config, run: Run) -> None:
    """Raise ConfigError, which names both settings, if an output overlaps with an input or with the other output."""
    out = output_folder(config, run)
    if is_same_or_inside(run.root, out):
        raise _nesting_error(
            "out", out, "the same as run" if is_same_or_inside(out, run.root) else "around run", run.root
        )
    for name in _FOLDERS_OF_A_RUN:
        if is_same_or_inside(out, run.path(name)):
            raise _nesting_error("out", out, f"in the folder {name} of run", run.root)
    for key, source in _list_inputs(config):
        for output_key, output in (("run", run.root), ("out", out)):
            if is_same_or_inside(output, source):
                relation = "the same as" if is_same_or_inside(source, output) else "inside"
                raise _nesting_error(output_key, output, f"{relation} {key}", source)
        if is_same_or_inside(source, out):
            raise _nesting_error("out", out, f"around {key}", source)


def _nesting_error(key: str, folder: StoragePath, relation: str, other: StoragePath) -> ConfigError:
    return ConfigError(
        f"{key}: expected a folder apart from all that the job reads and from its other output, found {folder}, which "
        f"is {relation} ({other}): name another folder. The job would change its own input, or could not be resumed"
    )


def _list_inputs(config: Config) -> Iterator[tuple[str, StoragePath]]:
    """Yield the key and the path of each file or folder of texts in the settings."""
    named = [("corpus", config.corpus.path), *(("train", path) for path in config.train)]
    named += [
        ("slm.crf.unlabelled", config.slm.crf.unlabelled),
        ("pretrain.variants", config.pretrain.variants),
        *(("pretrain.exclude", path) for path in config.pretrain.exclude),
    ]
    named += [(f"datasets.{name}", path) for name, path in config.datasets.items()]
    yield from ((key, storage_path(path)) for key, path in named if path)


def _has_manifests(folder: StoragePath, purpose: str) -> bool:
    """Return whether a folder holds manifests of steps, as every output of an earlier version does."""
    for name in list_file_names(folder / "steps", "", ".json"):
        is_of_tagging = name.removesuffix(".json") in _TAGGING_STEPS
        if is_of_tagging != (purpose == TAGGED_PURPOSE):
            continue
        try:
            if {"format_version", "inputs", "result"} <= set(read_json(folder / "steps" / name)):
                return True
        except (DamagedFileError, TypeError):
            continue
    return False
