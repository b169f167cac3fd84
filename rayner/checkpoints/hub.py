"""The model hub: list the files of a repository, and download them.

HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are respected. A download that was interrupted, even by a kill, is continued:
huggingface_hub itself discards what a killed process has downloaded.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rayner.errors import ConfigError, DataError, JobError, RaynerError
from rayner.runs.error_messages import first_line
from rayner.runs.hub_names import TIMEOUT_SECONDS, hub_endpoint

_MAX_FAILURES = 5  # interruptions without new data in between, before the download is given up
_HUB_MODULES = ("huggingface_hub", "httpx2", "httpx", "httpcore")  # they define the errors of the network


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    n_bytes: its size; None if the hub does not say.
    sha256: its SHA-256, which the hub gives for large files.
    git_sha1: the id of its content in git, which the hub gives for the others.
    """

    name: str
    n_bytes: int | None
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True)
class HubRepository:
    """A repository at a revision.

    commit: the commit that the revision means now.
    """

    name: str
    commit: str
    files: dict[str, HubFile]

    def download(self, name: str, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Download a file. Raises as `download_file`."""
        download_file(self, self.files[name], target, on_bytes)


def list_repository(name: str, revision: str | None = None) -> HubRepository:
    """List the files of a repository.

    Args:
        name: The name on the hub, such as `Qwen/Qwen2.5-14B-Instruct`.
        revision: A branch, a tag or a commit; None for the main branch.

    Raises:
        ConfigError: There is no such model or revision, or the user has no access.
        JobError: The hub cannot be reached.

    """
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=hub_endpoint()).model_info(
            name, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    except Exception as error:  # those of the network come from several packages
        raise describe_hub_error(name, revision, error) from error
    files = {}
    for sibling in info.siblings or ():
        large = sibling.lfs
        sha256 = large.sha256 if large else None
        size = sibling.size if sibling.size is not None else large.size if large else None
        files[sibling.rfilename] = HubFile(sibling.rfilename, size, sha256, None if large else sibling.blob_id)
    return HubRepository(name, info.sha or revision or "main", files)


def describe_hub_error(name: str, revision: str | None, error: Exception) -> RaynerError:
    """Return the error, in one line, for an error that huggingface_hub raised. Any other error is raised again."""
    from huggingface_hub import errors

    endpoint = hub_endpoint()
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return ConfigError(
            f"{name}: expected a model that you may read, found a gated one: accept its terms at {endpoint}/{name}, "
            "then set HF_TOKEN to a token of your account"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ConfigError(f"{name}: expected a branch, tag or commit of it as the revision, found {revision!r}")
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
        return ConfigError(
            f"{name}: expected the name of a model on {endpoint}, found none that you may read ({status}): check the "
            "name; for a private model set HF_TOKEN to a token of your account"
        )
    if isinstance(error, errors.HFValidationError):
        return ConfigError(f"{name}: expected a folder, or a name on the hub such as Qwen/Qwen2.5-14B-Instruct")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return JobError(f"{name}: cannot be downloaded while HF_HUB_OFFLINE is set: unset it, or use a folder")
    if type(error).__module__.partition(".")[0] not in _HUB_MODULES:
        raise error
    return JobError(
        f"{name}: {endpoint} cannot be reached: {first_line(error)}: use a machine with a network, and copy the folder "
        "from there; HF_ENDPOINT can name a mirror"
    )


def download_file(repository: HubRepository, file: HubFile, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Download a file of a repository, and check its size and digest.

    Until it is complete, the file is called `TARGET.part`. If such a file exists, the download is continued there.

    Args:
        repository: The repository.
        file: The file.
        target: The path to write. If it exists, nothing is done.
        on_bytes: Receives the number of bytes of each piece. A negative number takes earlier pieces back.

    Raises:
        ConfigError: The user has no access.
        DataError: The content is not the one that the hub announces. The part is removed.
        JobError: The hub cannot be reached.

    """
    if target.exists():
        return
    part, failures = target.with_name(f"{target.name}.part"), 0
    if file.n_bytes is None:
        part.unlink(missing_ok=True)  # nobody could tell whether it is complete
    while not part.exists() or part.stat().st_size != file.n_bytes:
        size_before = _size(part)
        try:
            _download_rest(repository, file, part, on_bytes)
            if file.n_bytes is None:
                break
            reason: Exception = JobError(f"{_size(part):,} of {file.n_bytes:,} bytes arrived")
        except Exception as error:  # as in `list_repository`
            described = describe_hub_error(repository.name, repository.commit, error)
            if not isinstance(described, JobError):
                raise described from error
            reason = described
        if _size(part) == file.n_bytes:
            break
        failures = 1 if _size(part) > size_before else failures + 1
        if failures > _MAX_FAILURES or _size(part) > (file.n_bytes or 0):
            raise JobError(f"{file.name}: {reason}; rerun the same command to resume") from reason
        time.sleep(min(failures, 2))
    _check_content(file, part)
    part.replace(target)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download_rest(repository: HubRepository, file: HubFile, part: Path, on_bytes: Callable[[int], None]) -> None:
    """Download what is missing in `part`."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # documented

    url = hf_hub_url(repository.name, file.name, revision=repository.commit, endpoint=hub_endpoint())
    start = _size(part)
    # Compressed, the content would have another length.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_SECONDS) as response:
        hf_raise_for_status(response)
        continues = response.status_code == 206
        if start and not continues:
            on_bytes(-start)
        with part.open("ab" if continues else "wb") as out:
            for piece in response.iter_bytes():
                out.write(piece)
                on_bytes(len(piece))


def _check_content(file: HubFile, part: Path) -> None:
    """Raise DataError, and remove the file, if its digest is not the one that the hub announced."""
    expected = file.sha256 or file.git_sha1
    if not expected:
        return
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {_size(part)}\0".encode(), usedforsecurity=False)
    with part.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != expected:
        part.unlink()
        raise DataError(
            f"{file.name}: expected the content with digest {expected}, found another ({digest.hexdigest()}): it was "
            "damaged on its way and was removed; rerun the same command to download it again"
        )
