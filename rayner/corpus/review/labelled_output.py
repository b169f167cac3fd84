"""The labelled file that `rayner review import` writes, and `NAME.provenance.json` beside it.

The labelled file is replaced only if the second file says that this command wrote it, and if its content has the digest
that is recorded there. So a file that a person wrote or corrected is never overwritten.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rayner.config.settings import json_digest
from rayner.corpus.reading import sha256_of_text
from rayner.corpus.review.provenance import PROVENANCE_FILE
from rayner.corpus.text_files import write_utf8
from rayner.errors import ConfigError, DamagedFileError
from rayner.runs.json_files import read_json, write_json
from rayner.runs.output_folder import path_exists
from rayner.runs.run_folder import file_sha256
from rayner.runs.storage import StoragePath, storage_path

_WRITTEN_FILE, _DIGEST = "labelled_file", "digest"
_REMEDY = "name another file. Nothing was written"


def build_provenance_path(out: StoragePath) -> StoragePath:
    """Return the path of the file that is written beside a labelled file."""
    return out.parent / f"{out.stem}.{PROVENANCE_FILE}"


def check_labelled_output_and_list_digests(out: StoragePath, provenance_files: Iterable[StoragePath] = ()) -> list[str]:
    """Return the digests that the file `out` may have if this command wrote it; [] if it did not. Write nothing.

    Args:
        out: The labelled file to write.
        provenance_files: The provenance files that the command reads. They must not be replaced.

    Raises:
        ConfigError: A file exists that this command did not write, or that was changed since.

    """
    beside = build_provenance_path(out)
    if any(_is_same_path(beside, path) for path in provenance_files):
        raise ConfigError(f"OUT: expected a name other than {out}, found one whose {beside.name} is read: {_REMEDY}")
    digests = _read_digests_of_written_file(out, beside)
    for path, is_own in ((beside, bool(digests)), (out, bool(digests) and _is_file_with_digest(out, digests))):
        if path_exists(path) and not is_own:
            raise ConfigError(
                f"{path}: expected no file, or one that `rayner review import` wrote and nobody changed since, found "
                f"another (OUT is the last of the files named): {_REMEDY}"
            )
    return digests


def write_labelled_output(out: StoragePath, text: str, provenance: Mapping[str, Any]) -> None:
    """Write a labelled file, and its provenance beside it.

    Raises ConfigError as `check_labelled_output_and_list_digests` does.
    """
    earlier = check_labelled_output_and_list_digests(out)
    digest = sha256_of_text(text)
    # The earlier digest is kept, because a kill between the two writes leaves the earlier labelled file.
    digests = [*(other for other in earlier if other != digest), digest][-2:]
    content = {**provenance, _WRITTEN_FILE: {"name": out.name, "sha256": digests}}
    write_json(build_provenance_path(out), {**content, _DIGEST: json_digest(content)})
    write_utf8(out, text)


def _read_digests_of_written_file(out: StoragePath, beside: StoragePath) -> list[str]:
    """Return the digests that the file `beside` records for `out`, or [] if it records none or was changed."""
    try:
        content = read_json(beside)
        digest = content.pop(_DIGEST)
        written = content[_WRITTEN_FILE]
        is_own = digest == json_digest(content) and written["name"] == out.name
        return [str(sha256) for sha256 in written["sha256"]] if is_own else []
    except (FileNotFoundError, DamagedFileError, AttributeError, KeyError, TypeError):
        return []


def _is_file_with_digest(path: StoragePath, digests: Iterable[str]) -> bool:
    return path.is_file() and file_sha256(path) in digests


def _is_same_path(a: StoragePath, b: StoragePath) -> bool:
    a, b = storage_path(a), storage_path(b)
    return str(a) == str(b) or (a.exists() and b.exists() and a.resolve() == b.resolve())
