"""The manifest of a step that is done: its inputs and its result."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rayner.text.json_records import parse_record
from rayner.text.messages import shorten_repr

StepResult = dict[str, Any]
FORMAT_VERSION = 1
_REMEDY = "take another run folder, or start over beside it with --fresh"
_MAX_LISTED = 5  # differences that a message lists


@dataclass(frozen=True)
class StepManifest:
    """The content of `RUN/steps/STEP.json`.

    inputs: settings by dotted key, digests of files, and digests of earlier steps.
    result: what the step returned, with its duration under `seconds`.
    """

    inputs: Mapping[str, Any]
    result: StepResult

    def to_json(self) -> dict[str, Any]:
        """Return the content of the manifest file."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Any, where: str) -> "StepManifest":  # noqa: ANN401 - whatever the file holds
        """Convert the content of a manifest file to a manifest.

        where: the path of the file, with which error messages begin.
        Raises ConfigError if the format version is another one, DamagedFileError if the content is incomplete.
        """
        return parse_record(
            cls, content, where, expected="a step's manifest", remedy=_REMEDY, format_version=FORMAT_VERSION
        )

    def describe_differences(self, inputs: Mapping[str, Any]) -> str:
        """List the inputs that differ from those of the step, such as `seed was 13, is 14`.

        Only the first few are listed. The text is empty if no input differs.
        """
        before, now = _flatten(self.inputs), _flatten(json.loads(json.dumps(inputs)))
        differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        listed = [
            f"{key} was {shorten_repr(before.get(key))}, is {shorten_repr(now.get(key))}"
            for key in differing[:_MAX_LISTED]
        ]
        return "; ".join(listed)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a tree of mappings by dotted key."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves.update(_flatten(value, f"{prefix}{key}."))
        else:
            leaves[prefix + key] = value
    return leaves
