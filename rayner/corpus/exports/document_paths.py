r"""The path of a document's file in an export, for any doc_id.

The path is the doc_id and the suffix of the format, except where no file system could hold it, or where it would lead
out of the folder or collide with another path:

- A name that is too long, or that holds a character U+0000, is shortened: `BEGINNING~DIGEST`.
- A folder named ``, `.` or `..` becomes `~DIGEST`, `.~DIGEST` or `..~DIGEST`.
- A name that already ends in `~DIGEST` gets a second digest, so that no two documents have the same path.
- A folder whose name ends in a suffix of the format gets a `~` at the end, because a file may have the same name.
- A doc_id that is too long as a whole becomes a single shortened name.

A digest is the first 32 hexadecimal digits of the name's SHA-256. Ordinary names are unchanged.
"""

import hashlib
import re
from collections.abc import Collection

MAX_NAME_BYTES = 240  # file systems allow 255, and a suffix follows
MAX_PATH_BYTES = 900  # an object store allows 1,024 with the folder of the export
_KEPT_BYTES = 160  # of the beginning of a name that is shortened
_SHORTENED = re.compile(r".*~[0-9a-f]{32}", re.DOTALL)
_NOT_KEPT = re.compile(r"[\x00-\x1f\x7f-\x9f/]")


def build_document_path(doc_id: str, suffix: str, suffixes: Collection[str]) -> str:
    """Return the path of a document's file inside the folder of an export. No two documents have the same path.

    Args:
        doc_id: The name of the document.
        suffix: The suffix of the file.
        suffixes: All suffixes of the format.

    """
    if len(doc_id.encode()) > MAX_PATH_BYTES:
        return _shorten(doc_id) + suffix
    *folders, name = doc_id.split("/")
    parts = [_build_folder_name(folder, suffixes) for folder in folders]
    is_odd = _must_be_shortened(name) or name + suffix in ("", ".", "..")
    parts.append((_shorten(name) if is_odd else name) + suffix)
    return "/".join(parts)


def _build_folder_name(folder: str, suffixes: Collection[str]) -> str:
    if folder in ("", ".", "..") or _must_be_shortened(folder):
        return _shorten(folder)
    # Without regard to case, as in some file systems.
    is_like_a_file = folder.rstrip("~").lower().endswith(tuple(suffix.lower() for suffix in suffixes))
    return f"{folder}~" if is_like_a_file else folder


def _must_be_shortened(name: str) -> bool:
    return len(name.encode()) > MAX_NAME_BYTES or "\0" in name or bool(_SHORTENED.fullmatch(name))


def _shorten(name: str) -> str:
    beginning = _NOT_KEPT.sub("_", name).encode()[:_KEPT_BYTES].decode(errors="ignore")
    return f"{beginning}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
