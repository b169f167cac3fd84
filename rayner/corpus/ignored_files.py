"""Count and name the files of a corpus folder that are not texts, with bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from rayner.text.json_records import record_from_json, record_to_json
from rayner.text.messages import escape_control_characters

_MAX_GROUPS = 50  # further suffixes are counted together
_FIRST_NAMES = 3
_MAX_NAME_CHARS = 200
_MAX_SUFFIX_CHARS = 12  # a longer "suffix" is the rest of a name with a dot in it
HIDDEN, NO_SUFFIX, OTHER = "hidden", "no suffix", "other"
FOLDER_LINK, RAYNER_OUTPUT = "link to a folder of the corpus", "folder that rayner wrote"


@dataclass(frozen=True)
class IgnoredGroup:
    """The ignored files of one suffix: how many there are, and the paths of the first ones inside the corpus."""

    files: int
    first: tuple[str, ...]


@dataclass
class IgnoredFiles:
    """Ignored files, grouped by suffix. Files whose names begin with a dot are the group `hidden`.

    A link to a folder of the corpus is ignored too, because the folder itself is read, and so is a folder that rayner
    wrote, because its texts are not the user's.
    """

    groups: dict[str, IgnoredGroup] = field(default_factory=dict)

    def add(self, relative_path: str, group: str | None = None) -> None:
        """Count a file.

        Args:
            relative_path: Its path inside the corpus, with `/` between folders.
            group: Its group; None to find it by the name of the file.

        """
        group = group or _find_group(relative_path)
        if group not in self.groups and len(self.groups) >= _MAX_GROUPS:
            group = OTHER
        before = self.groups.get(group, IgnoredGroup(0, ()))
        first = before.first
        if len(first) < _FIRST_NAMES:
            first = (*first, escape_control_characters(relative_path)[:_MAX_NAME_CHARS])
        self.groups[group] = IgnoredGroup(before.files + 1, first)


def describe_ignored_files(groups: Mapping[str, IgnoredGroup]) -> str:
    """Return a text such as `12 .html (a.html, b.html, c.html, ...), 1 hidden (.notes)`; empty if there are none."""
    described = []
    for name, group in sorted(groups.items(), key=lambda item: (-item[1].files, item[0])):
        more = ", ..." if group.files > len(group.first) else ""
        described.append(f"{group.files:,} {name} ({', '.join(group.first)}{more})")
    return ", ".join(described)


def ignored_groups_to_json(groups: Mapping[str, IgnoredGroup]) -> dict[str, Any]:
    """Return the groups as JSON values for a manifest."""
    return {name: record_to_json(group) for name, group in groups.items()}


def ignored_groups_from_json(content: Mapping[str, Any]) -> dict[str, IgnoredGroup]:
    """Build the groups from the JSON values that a manifest holds."""
    return {name: record_from_json(IgnoredGroup, group) for name, group in content.items()}


def _find_group(relative_path: str) -> str:
    name = relative_path.rpartition("/")[2]
    if name.startswith("."):
        return HIDDEN
    suffix = PurePosixPath(name).suffix.lower()
    if not suffix:
        return NO_SUFFIX
    return escape_control_characters(suffix) if len(suffix) <= _MAX_SUFFIX_CHARS else OTHER
