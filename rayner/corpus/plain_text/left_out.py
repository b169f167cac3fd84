"""Say, at the end of a job, which files of the corpus it left out and why."""

from collections.abc import Mapping, Sequence

from rayner.corpus.ignored_files import IgnoredGroup, describe_ignored_files
from rayner.text.messages import escape_control_characters


def describe_left_out_files(
    unread: Mapping[str, str], ignored: Mapping[str, IgnoredGroup], empty: Sequence[str]
) -> list[str]:
    """Return a line for each reason to leave files out; [] if all files were tagged.

    Args:
        unread: For each file or folder that could not be read, the reason.
        ignored: The files that are not texts, by suffix.
        empty: The files without text.

    """
    lines = []
    if unread:
        lines.append(f"left out: {len(unread):,} files that cannot be read; the first: {next(iter(unread.values()))}")
    if ignored:
        lines.append(f"ignored, because only .txt files are read: {describe_ignored_files(ignored)}")
    if empty:
        lines.append(f"without text: {len(empty):,} files; the first: {escape_control_characters(empty[0])}")
    return lines
