"""The settings of the texts to tag or to pretrain on (see `rayner.config.settings`)."""

from dataclasses import dataclass
from typing import ClassVar

from rayner.config.conditions import (
    clusters_use_converted_corpus,
    corpus_is_converted,
    corpus_is_not_utf8,
)
from rayner.config.declare import StepIf, setting

TEXT_ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "big5", "cp950", "big5hkscs", "shift_jis", "euc_jp",
)  # fmt: skip


@dataclass(frozen=True)
class CorpusConfig:
    """The texts to tag or to pretrain on. `corpus=PATH` sets the path."""

    PLAIN_VALUE: ClassVar[str] = "path"

    # No steps: the plan of a tagged corpus records its texts, so the same texts at another path are the same corpus.
    path: str | None = setting(
        None, "text file, or folder of .txt files, to tag or to pretrain on", steps=(), essential=True
    )
    encoding: str = setting(
        "utf-8",
        "encoding of the texts; files with a byte order mark (UTF-8, UTF-16, UTF-32) are read by their mark. A file "
        "that is not in it is left out",
        choices=TEXT_ENCODINGS,
        # Not an input where it is UTF-8, so corpora that an older version tagged stay valid. Other steps that read the
        # corpus depend on a digest of its texts.
        steps=(StepIf("tag_corpus", corpus_is_not_utf8),),
    )

    match_script: bool = setting(
        False,
        "let the models read a copy of the corpus in the script (traditional, simplified) of the labelled text, one "
        "character for one; the tagged corpus keeps the original",
        # Not an input where it is false, so corpora that an older version tagged stay valid.
        steps=(
            StepIf("tag_corpus", corpus_is_converted),
            StepIf("train_slm", clusters_use_converted_corpus),
        ),
    )

    def encoding_of(self, path: str | None) -> str:
        """Return the encoding of unlabelled texts: that of the corpus if they are the corpus, otherwise UTF-8."""
        return self.encoding if path == self.path else "utf-8"
