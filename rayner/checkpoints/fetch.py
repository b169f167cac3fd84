"""Get a checkpoint: download it from the hub, or copy a folder, convert pickled weights, and record what was done.

Everything is first written to `FOLDER/.download`, and moved into the folder when all files are complete and checked.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from rayner.checkpoints.file_choice import (
    CONFIG_FILE,
    DOWNLOAD_FOLDER,
    RECORD_FILE,
    SAFETENSORS_INDEX,
    CheckpointFiles,
    choose_checkpoint_files,
    name_converted_file,
    read_weight_map,
)
from rayner.checkpoints.hub import HubRepository, list_repository
from rayner.checkpoints.local_folder import LocalFolder
from rayner.checkpoints.record import CheckpointRecord, RecordedFile, read_checkpoint_record
from rayner.errors import ConfigError, DataError, JobError
from rayner.runs.error_messages import RERUN_HINT, format_error
from rayner.runs.lock import hold_lock
from rayner.runs.output_folder import (
    OutputFolder,
    check_output_folder,
    list_missing_and_changed_files,
    mark_output_folder_as_ours,
    open_output_folder,
)
from rayner.runs.progress import Progress, ProgressCallback, ignore_progress
from rayner.runs.run_folder import file_sha256
from rayner.text.messages import shorten_repr

PURPOSE = "checkpoint"
_SPARE_BYTES = 64 * 1024**2  # for the small files, and for what the file system needs
Source = HubRepository | LocalFolder


def fetch_checkpoint(
    name: str,
    folder: Path,
    revision: str | None = None,
    *,
    print_line: Callable[[str], None] = lambda line: None,
    on_progress: ProgressCallback = ignore_progress,
) -> CheckpointRecord:
    """Get a checkpoint into a folder: configuration, tokenizer and weights in safetensors, and nothing else.

    Args:
        name: A name on the hub, or a checkpoint folder whose weights shall be converted.
        folder: The folder to write: new, empty, or of an earlier call for the same checkpoint, which is continued.
        revision: A branch, a tag or a commit on the hub; None for its main branch.
        print_line: Receives lines for the user.
        on_progress: Receives the progress of the download.

    Raises:
        ConfigError: The folder holds something else, or there is no such checkpoint.
        DataError: The repository holds no whole checkpoint, or a pickle holds anything but tensors.
        JobError: The hub cannot be reached, or the disk is full.

    """
    check_output_folder(folder, PURPOSE)
    if Path(name).is_dir() and revision is not None:
        raise ConfigError(f"--revision: expected a name on the hub with it, found the folder {shorten_repr(name)}")
    source: Source = LocalFolder(Path(name)) if Path(name).is_dir() else list_repository(name, revision)
    files = choose_checkpoint_files(source.name, source.files.keys())
    _require_same_checkpoint(source, folder)
    try:
        mark_output_folder_as_ours(folder, PURPOSE)
        with hold_lock(folder):
            record = read_checkpoint_record(folder)
            if record is not None and list_missing_and_changed_files(folder, PURPOSE) == ([], []):
                print_line(f"{folder}: nothing to do, all files are there, unchanged")
                return record
            with open_output_folder(folder, PURPOSE) as output:
                return _fetch_into(source, files, output, print_line, on_progress)
    except OSError as error:
        raise JobError(f"{folder}: {format_error(error)}; {RERUN_HINT}") from error


def _require_same_checkpoint(source: Source, folder: Path) -> None:
    """Raise ConfigError if the folder holds another checkpoint than the source, or another revision of it."""
    record = read_checkpoint_record(folder)
    if record is not None and (record.name, record.revision) != (source.name, source.commit):
        raise ConfigError(
            f"{folder}: expected a new folder for {source.name} at {source.commit}, found {record.name} at "
            f"{record.revision}: name another folder"
            + (f", or keep this one by --revision {record.revision}" if record.name == source.name else "")
        )


def _fetch_into(
    source: Source,
    files: CheckpointFiles,
    output: OutputFolder,
    print_line: Callable[[str], None],
    on_progress: ProgressCallback,
) -> CheckpointRecord:
    folder = Path(str(output.root))
    downloads = _open_download_folder(folder, source)
    _download(source, [CONFIG_FILE], downloads, ignore_progress)
    _require_known_architecture(source, downloads)
    print_line(f"{source.name}: {'a folder' if source.commit is None else f'revision {source.commit}'}")
    weights = [files.weights_entry]
    if files.is_sharded:
        _download(source, weights, downloads, ignore_progress)
        weights = sorted(set(read_weight_map(downloads / files.weights_entry).values()))
    names = [*files.plain, *weights]
    missing = [name for name in names if name not in source.files]
    if missing:
        raise DataError(f"{source.name}: expected all files that {files.weights_entry} names, found no {missing[0]}")
    _require_disk_space(source, names, downloads, copies=2 if files.is_pickled else 1)
    _download(source, names, downloads, on_progress)
    pickles = weights if files.is_pickled else []
    if pickles:
        weights = _convert_pickles(files, pickles, downloads, print_line)
    if files.is_sharded:
        weights = [*weights, SAFETENSORS_INDEX]
    converted_from = tuple(_record_file(downloads / name) for name in pickles)
    # The configuration comes last: without it, nothing takes the folder for a checkpoint.
    return _move_into_place(source, [*weights, *reversed(files.plain)], converted_from, downloads, output)


def _open_download_folder(folder: Path, source: Source) -> Path:
    """Make the folder of unfinished files. Files of another revision, or copies of a folder, are removed from it."""
    downloads = folder / DOWNLOAD_FOLDER / (source.commit or "copy")
    for other in downloads.parent.glob("*"):
        if other != downloads or source.commit is None:
            shutil.rmtree(other)
    downloads.mkdir(parents=True, exist_ok=True)
    return downloads


def _download(source: Source, names: Iterable[str], downloads: Path, on_progress: ProgressCallback) -> None:
    """Download the files that are not there yet, and report the bytes of all of them as progress."""
    names = list(names)
    sizes = {name: source.files[name].n_bytes or 0 for name in names}
    present = {name: downloads / name for name in names if (downloads / name).exists()}
    parts = {name: path for name in names if (path := downloads / f"{name}.part").exists()}
    done_before = sum(sizes[name] for name in present) + sum(path.stat().st_size for path in parts.values())
    progress = Progress("download", sum(sizes.values()), "bytes", on_progress, done_before)
    for name in names:
        if name not in present:
            source.download(name, downloads / name, progress.advance)


def _require_known_architecture(source: Source, downloads: Path) -> None:
    """Raise ConfigError, before the weights are downloaded, if transformers cannot load such a model."""
    from transformers import AutoConfig

    from rayner.modeling.checkpoint import checkpoint_error

    try:
        AutoConfig.from_pretrained(str(downloads), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise checkpoint_error(source.name, "a model that transformers knows", error) from error


def _require_disk_space(source: Source, names: Iterable[str], downloads: Path, copies: int) -> None:
    """Raise JobError if the files, and their converted copies, do not fit on the disk."""
    sizes = [(downloads / name, source.files[name].n_bytes or 0) for name in names]
    total = copies * sum(size for _, size in sizes)
    present = sum(path.stat().st_size for path in downloads.iterdir())
    needed, free = max(0, total - present) + _SPARE_BYTES, shutil.disk_usage(downloads).free
    if needed > free:
        raise JobError(
            f"{downloads}: expected {needed / 1024**2:,.0f} MiB of free disk, found {free / 1024**2:,.0f} MiB: free "
            f"some space, or name a folder on another disk; {RERUN_HINT}"
        )


def _convert_pickles(
    files: CheckpointFiles, pickles: Iterable[str], downloads: Path, print_line: Callable[[str], None]
) -> list[str]:
    """Convert the pickles that are not converted yet; return the names of the converted files."""
    from rayner.checkpoints.pickle_conversion import convert_pickle, write_converted_index

    converted = []
    for name in pickles:
        target = name_converted_file(name)
        converted.append(target)
        if not (downloads / target).exists():
            print_line(f"converting {name} to {target}")
            try:
                convert_pickle(downloads / name, downloads / target)
            except DataError:
                shutil.rmtree(downloads.parent)  # nobody should open that pickle by accident
                raise
        shutil.copymode(downloads / CONFIG_FILE, downloads / target)  # safetensors lets only its owner read it
    if files.is_sharded:
        write_converted_index(downloads, read_weight_map(downloads / files.weights_entry))
    return converted


def _move_into_place(
    source: Source,
    names: Iterable[str],
    converted_from: tuple[RecordedFile, ...],
    downloads: Path,
    output: OutputFolder,
) -> CheckpointRecord:
    """Check the complete checkpoint, move its files into the folder, and write the record."""
    from rayner.checkpoints.weight_files import check_and_read_weight_facts

    check_and_read_weight_facts(downloads)
    recorded = []
    for name in names:
        n_bytes = (downloads / name).stat().st_size
        recorded.append(RecordedFile(name, n_bytes, output.move_in(downloads / name, name)))
    record = CheckpointRecord(
        source.name, source.commit, tuple(sorted(recorded, key=lambda file: file.name)), converted_from
    )
    with output.writer(RECORD_FILE) as stream:
        stream.write(record.encode())
    shutil.rmtree(downloads.parent)
    return record


def _record_file(path: Path) -> RecordedFile:
    return RecordedFile(path.name, path.stat().st_size, file_sha256(path))
