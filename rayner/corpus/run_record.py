"""Read and write `run.json`: the settings, models and inputs that made a tagged corpus, and counts of its content."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayner.corpus.corrections.counts import CorrectionCounts
from rayner.corpus.ignored_files import IgnoredGroup
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.scripts.recognition import ScriptComparison
from rayner.corpus.silent_models import EntityCounts, SilentModel
from rayner.fusion.control import LlmWorth
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.storage import StoragePath
from rayner.text.json_records import parse_record, record_to_json

FORMAT_VERSION = 3  # 3: whether the LLM was asked, and its worth on the sentences on which fusion was tuned
RUN_RECORD_FILE = "run.json"
_REMEDY = "rerun the job that tagged the corpus"


@dataclass(frozen=True)
class CorpusCounts:
    """Counts of the content of a tagged corpus.

    gated: Segments for which the gate decided not to ask the LLM.
    set_aside: Segments that failed.
    passes: Forward passes of the LLM.
    decided_by: The number of entities for each value of `decided_by`.
    unknown_share: The share of the characters, as the models read them, that the small model does not know.
    not_finite: Segments, among those set aside, for which a prediction was NaN or infinite.
    slm_entities: Entities that the small model found; None if an older rayner tagged the corpus.
    llm_characters: Characters of the segments that the LLM answered.
    llm_entities: Entities that the LLM found in them.
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
    not_finite: int = 0
    slm_entities: int | None = None
    llm_characters: int = 0
    llm_entities: int = 0

    def find_silent_models(self) -> list[SilentModel]:
        """Return the models that found no entity in the corpus."""
        counts = EntityCounts(self.characters, self.slm_entities, self.llm_characters, self.llm_entities, self.entities)
        return counts.find_silent_models()


@dataclass(frozen=True)
class RunRecord:
    """The content of `run.json`.

    inputs: Digests of everything that the tags depend on.
    models: The digest of each trained step.
    rule: The fusion rule, as `rule_summary` returns it.
    basis: The softmax that the LLM's probabilities come from; `none` without an LLM.
    asks_llm: Whether the LLM was asked while tagging.
    llm: One sentence that says whether the LLM was asked, and why.
    unread: For each file or folder that could not be read, the reason.
    ignored: The files that are not texts, by suffix.
    empty: The files without text.
    markup: The files that hold tags of HTML or XML.
    scripts: The scripts of the labelled text and of the corpus.
    corrections: How many corrections of a person were applied, and those that found no place.
    changed: The files that changed while the corpus was tagged.
    llm_worth: What the LLM is worth on the held-out sentences on which the fusion was tuned; None without an LLM.
    seconds: The duration of the call that finished the tagging.
    records_sha256: The digest of the records of all units, and so of all table files.
    warnings: What the user must look at, a line for each, such as a model that found no entity.
    """

    config: dict[str, Any]
    config_digest: str
    version: str
    inputs: dict[str, Any]
    models: dict[str, str]
    rule: dict[str, Any]
    basis: str
    asks_llm: bool
    llm: str
    counts: CorpusCounts
    unread: dict[str, str]
    empty: list[str]
    changed: dict[str, str]
    llm_worth: LlmWorth | None
    seconds: float
    ignored: Mapping[str, IgnoredGroup] = field(default_factory=dict)
    markup: MarkupFiles = field(default_factory=MarkupFiles)
    scripts: ScriptComparison = field(default_factory=ScriptComparison)
    corrections: CorrectionCounts = field(default_factory=CorrectionCounts)
    records_sha256: str = ""
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `run.json`."""
        return {"format_version": FORMAT_VERSION, **record_to_json(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any], path: str = RUN_RECORD_FILE) -> "RunRecord":
        """Build a record from what `to_json` returned.

        Raises ConfigError if the format version differs, DamagedFileError if the keys or the types of values do.
        """
        return parse_record(
            cls, content, path, expected="the record of a tagged corpus", remedy=_REMEDY, format_version=FORMAT_VERSION
        )


def write_run_record(tagged: StoragePath, record: RunRecord) -> None:
    """Write `run.json` into the folder of a tagged corpus."""
    write_checked_json(tagged / RUN_RECORD_FILE, record.to_json())


def read_run_record(tagged: StoragePath) -> RunRecord:
    """Read `run.json` of a tagged corpus.

    Raises ConfigError if another version of rayner wrote it, DamagedFileError if it is damaged, OSError if it is
    missing.
    """
    path = tagged / RUN_RECORD_FILE
    return RunRecord.from_json(read_checked_json(path, _REMEDY), str(path))
