"""Tell in which script a text is written, by the characters that are written in one script only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rayner.corpus.scripts.tables import load_script_tables

Script = Literal["traditional", "simplified", "mixed"]
_MIN_CHARACTERS = 20  # of one script, before a text counts as written in it
# Texts in the traditional script have 4% simplified forms, such as 户 and 内, in editions of today (docs/log.md).
_MIN_SHARE = 0.9


@dataclass(frozen=True)
class ScriptCounts:
    """How many characters of a text are written in one script only."""

    traditional: int = 0
    simplified: int = 0

    @property
    def script(self) -> Script | None:
        """The script of the text; None if it has too few characters of one script only."""
        n_chars = self.traditional + self.simplified
        if n_chars < _MIN_CHARACTERS:
            return None
        if self.traditional >= _MIN_SHARE * n_chars:
            return "traditional"
        return "simplified" if self.simplified >= _MIN_SHARE * n_chars else "mixed"

    def describe_script(self) -> str:
        """Return the script with its numbers, such as `simplified (0 characters only traditional, 312 simplified)`."""
        numbers = f"{self.traditional:,} characters only traditional, {self.simplified:,} only simplified"
        return f"{self.script or 'of unknown script'} ({numbers})"


@dataclass(frozen=True)
class ScriptComparison:
    """The scripts of the labelled text and of the corpus.

    is_matched: Whether the models read a copy of the corpus in the script of the labelled text.
    """

    labelled: ScriptCounts = ScriptCounts()
    corpus: ScriptCounts = ScriptCounts()
    is_matched: bool = False

    @property
    def is_mismatch(self) -> bool:
        """Whether the models read another script than they were trained on, in all of the corpus or a part of it."""
        scripts = {self.labelled.script, self.corpus.script}
        return not self.is_matched and None not in scripts and len(scripts) == 2 and self.labelled.script != "mixed"

    def format_mismatch_warning(self) -> str:
        """Return a warning in one line; "" if there is no mismatch."""
        if not self.is_mismatch:
            return ""
        labelled, corpus = self.labelled.describe_script(), self.corpus.describe_script()
        return (
            f"the labelled text is {labelled}, the corpus is {corpus}: the models do not know many of its characters. "
            "With corpus.match_script=true they read a copy in the script of the labelled text; the tagged corpus "
            "keeps the original"
        )


def count_scripts(char_counts: Mapping[str, int]) -> ScriptCounts:
    """Count the characters of a text that are written in one script only.

    char_counts: How often each character occurs, such as a Counter.
    """
    tables = load_script_tables()
    return ScriptCounts(
        sum(n for char, n in char_counts.items() if char in tables.only_traditional),
        sum(n for char, n in char_counts.items() if char in tables.only_simplified),
    )
