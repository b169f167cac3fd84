"""Read JSON that another program may have written, strictly."""

import json
from collections import Counter
from typing import Any, Never

from rayner.corpus.text_files import read_utf8
from rayner.errors import DataError
from rayner.runs.storage import StoragePath
from rayner.text.messages import shorten_repr

_MAX_REASON_CHARS = 200


def read_json_file(path: StoragePath) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file that another program may have written. Raises DataError as `parse_json_text` does."""
    return parse_json_text(read_utf8(path), str(path))


def parse_json_text(text: str, location: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text.

    Raises:
        DataError: The text is not JSON, holds a key twice in an object, or holds a number that is not finite. The
            message begins with `location`.

    """
    try:
        return json.loads(text, object_pairs_hook=_build_object, parse_constant=_reject_constant)
    except RecursionError:
        raise DataError(f"{location}: expected JSON, found brackets nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{location}: expected JSON, found: {str(error)[:_MAX_REASON_CHARS]}") from None


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object. Raises ValueError for a key that stands twice, because one of the values would be lost."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shorten_repr(twice)} twice in an object")
    return content


def _reject_constant(name: str) -> Never:
    raise ValueError(f"{name}, which is not a JSON number")
