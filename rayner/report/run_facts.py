"""The facts of a run that the main job records for the report in `pipeline.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rayner.config.model_settings import IndexConfig, LlmConfig, SlmConfig
from rayner.config.settings import SplitConfig
from rayner.corpus.novelty import CorpusNovelty, NewNames
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.run_record import CorpusCounts
from rayner.corpus.scripts.recognition import ScriptComparison
from rayner.corpus.silent_models import SilentModel
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.warnings import translate_warnings


@dataclass(frozen=True)
class PartCounts:
    """The size of a part of the labelled text."""

    sentences: int
    characters: int
    entities: int


@dataclass(frozen=True)
class RunFacts:
    """The inputs, counts, timings and settings of a run.

    settings: All settings as JSON values.
    asks_llm: Whether tagging asks the LLM.
    llm_use: One sentence that says whether tagging asks the LLM, and why.
    labelled: The size of each part (`train`, `dev`, `test`).
    held_out_by: What was held out as a whole: `document`, `block` or `sentence`.
    faults: The irregularities of the labelled files.
    timings: The seconds of each step, and the peak memory.
    models: The records of the training steps.
    tagged: The counts of the tagged corpus, None without a corpus.
    corpus_problems: Files of the corpus that could not be read, were ignored, were empty, or changed.
    free_answers: How the LLM's free answers differ from a copy of their sentences, for each held-out part that has any.
    markup: The files of the corpus that hold tags of HTML or XML.
    scripts: The scripts of the labelled text and of the corpus.
    silent_models: The models that found no entity in a text, by the text: `corpus`, `dev` or `test`.
    novelty: How unlike the training text the corpus is, None without a corpus.
    """

    seed: int
    split: SplitConfig
    slm: SlmConfig
    index: IndexConfig
    llm: LlmConfig
    settings: Mapping[str, Any]
    asks_llm: bool
    llm_use: str
    inputs: Mapping[str, Any]
    labelled: Mapping[str, PartCounts]
    labelled_characters: int
    held_out_by: str
    faults: Mapping[str, Any]
    timings: Mapping[str, float]
    versions: Mapping[str, str]
    models: Mapping[str, Any]
    tagged: CorpusCounts | None = None
    corpus_problems: Mapping[str, Any] = field(default_factory=dict)
    free_answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    silent_models: Mapping[str, Sequence[SilentModel]] = field(default_factory=dict)
    markup: MarkupFiles = field(default_factory=MarkupFiles)
    scripts: ScriptComparison = field(default_factory=ScriptComparison)
    novelty: CorpusNovelty | None = None

    @property
    def new_names(self) -> NewNames | None:
        """How many of the names tagged in the corpus the training text never tags, None without a corpus."""
        return self.novelty.names if self.novelty else None

    def warnings(self) -> list[BilingualText]:
        """Return the warnings that the report shows first."""
        return translate_warnings(self.scripts, self.markup, self.silent_models)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `pipeline.json`."""
        return {
            "inputs": dict(self.inputs),
            "counts": {
                "labelled": {name: asdict(counts) for name, counts in self.labelled.items()},
                "labelled_characters": self.labelled_characters,
                **(asdict(self.tagged) if self.tagged else {}),
            },
            "faults": dict(self.faults),
            "timings": dict(self.timings),
            "versions": dict(self.versions),
            **self.corpus_problems,
            **({"warnings": [text.en for text in self.warnings()]} if self.warnings() else {}),
            **({"free_answers": dict(self.free_answers)} if self.free_answers else {}),
            **({"new_names": asdict(self.novelty.names), "novelty": self.novelty.to_json()} if self.novelty else {}),
            "llm": self.llm_use,
            "models": dict(self.models),
            "config": dict(self.settings),
        }
