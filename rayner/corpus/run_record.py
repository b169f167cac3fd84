"""The record of a tagging: `run.json` beside the tables says what they were made with and what they hold."""

from dataclasses import dataclass
from typing import Any

from rayner.errors import ConfigError
from rayner.runs.run_folder import read_json, write_json
from rayner.runs.storage import StoragePath
from rayner.text.json_records import check_format_version, record_from_json, record_to_json

FORMAT_VERSION = 1
RUN_RECORD_FILE = "run.json"


@dataclass(frozen=True)
class CorpusCounts:
    """What the tables of a tagged corpus hold.

    gated: segments that the LLM was not asked about; set_aside: segments that failed; passes: forward passes of the
    LLM; decided_by: entities by `decided_by`; unknown_share: share of the characters that the small model does not
    know.
    """

    documents: int
    characters: int
    segments: int
    gated: int
    set_aside: int
    passes: int
    entities: int
    decided_by: dict[str, int]
    unknown_share: float


@dataclass(frozen=True)
class RunRecord:
    """Everything in `run.json`.

    inputs: digests of all that the tags depend on; models: the digest of each trained step; rule: the fusion rule, as
    `rule_summary` gives it; basis: the softmax that the LLM's probabilities come from; unread: reason by file; empty:
    files without text; changed: files that changed while the corpus was tagged; seconds: duration of the call that
    finished the tagging.
    """

    config: dict[str, Any]
    config_digest: str
    version: str
    inputs: dict[str, Any]
    models: dict[str, str]
    rule: dict[str, Any]
    basis: str
    counts: CorpusCounts
    unread: dict[str, str]
    empty: list[str]
    changed: dict[str, str]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the content of `run.json`."""
        return {"format_version": FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: str = RUN_RECORD_FILE) -> "RunRecord":
        """Read what `to_json` returned. Raises ConfigError, naming `path`, for another version or other keys."""
        check_format_version(content, FORMAT_VERSION, path, "use that version, or tag the corpus again")
        fields = {key: value for key, value in content.items() if key != "format_version"}
        try:
            return record_from_json(cls, fields)
        except TypeError as error:
            raise ConfigError(f"{path}: expected the keys of a tagging record, found others ({error})") from None


def write_run_record(tagged: StoragePath, record: RunRecord) -> None:
    """Write `run.json` into the folder of a tagged corpus."""
    write_json(tagged / RUN_RECORD_FILE, record.to_json())


def read_run_record(tagged: StoragePath) -> RunRecord:
    """Read `run.json` of a tagged corpus. Raises ConfigError for another version, OSError if it is missing."""
    path = tagged / RUN_RECORD_FILE
    return RunRecord.from_json(read_json(path), str(path))
