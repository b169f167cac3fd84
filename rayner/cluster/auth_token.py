"""The file with the token of Ray's authentication. Whoever reads it controls the cluster, so only its owner may."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from rayner.errors import ConfigError
from rayner.runs.progress import log

_OTHERS = 0o077  # permissions of the group and of all others
_OWNER_ALONE = 0o600


@dataclass(frozen=True)
class TokenFile:
    """The file in which Ray looks for the token. `mode` holds its permissions; None if there is no such file."""

    path: Path
    mode: int | None

    @property
    def is_accessible_to_other_users(self) -> bool:
        """Whether other users than the owner may read or change the file."""
        return self.mode is not None and bool(self.mode & _OTHERS)


def find_token_file() -> TokenFile | None:
    """Return the file in which Ray looks for the token, or None if the token is in the variable RAY_AUTH_TOKEN."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return TokenFile(path, path.stat().st_mode & 0o777)
    except OSError:
        return TokenFile(path, None)


@contextmanager
def keep_new_token_private() -> Iterator[None]:
    """If Ray writes a new token while the block runs, let only its owner read it. A file that exists is left alone."""
    before = find_token_file()
    yield
    if before and before.mode is None and before.path.exists():
        before.path.chmod(_OWNER_ALONE)


def require_private_token_file() -> None:
    """Raise ConfigError if others may read the token of the cluster that this process joins."""
    token = find_token_file()
    if token and token.is_accessible_to_other_users:
        raise ConfigError(_describe(token))


def warn_if_others_read_token() -> None:
    """Log a warning if others may read the token of the Ray on this machine."""
    token = find_token_file()
    if token and token.is_accessible_to_other_users:
        log.warning("%s", _describe(token))


def is_remote_address(address: str) -> bool:
    """Return whether a Ray address, such as `HOST:PORT` or `ray://HOST:PORT`, names another machine than this one.

    A host name other than `localhost` counts as another machine.
    """
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]") or address
    if host in ("", "auto", "local", "localhost"):
        return False
    try:
        if ipaddress.ip_address(host).is_loopback:
            return False
    except ValueError:
        return True
    own = {each.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for each in entries}
    return host not in own


def _describe(token: TokenFile) -> str:
    return (
        f"{token.path}: expected a file that only its owner can read (mode 600), found mode {token.mode or 0:o}: run "
        f"chmod 600 {token.path}, because whoever reads the token can run code as you"
    )
