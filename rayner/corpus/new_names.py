"""How many of the names that were tagged in a corpus are new: the training text never tags them."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow.parquet as pq

from rayner.corpus.scripts.conversion import ScriptConverter, convert_texts
from rayner.runs.storage import StoragePath, list_file_names


@dataclass(frozen=True)
class NewNames:
    """Counts of the entities of a tagged corpus.

    tagged: All of them.
    new: Those whose text the training text tags nowhere, with no type.
    """

    tagged: int
    new: int

    @property
    def new_share(self) -> float:
        """The share of the new ones, 0 without entities."""
        return self.new / max(1, self.tagged)


def count_new_names(tagged: StoragePath, known: Collection[str], converter: ScriptConverter | None = None) -> NewNames:
    """Count the entities of a tagged corpus whose text is not one of `known`. Only their texts are read.

    converter: converts the corpus to the script of the training text, if the models read it so.
    """
    n_tagged = n_new = 0
    for name in list_file_names(tagged / "entities", "", ".parquet"):
        with (tagged / "entities" / name).open("rb") as stream:
            texts = Counter(pq.read_table(stream, columns=["text"]).column("text").to_pylist())
        read_texts = convert_texts(list(texts), converter)
        n_tagged += texts.total()
        n_new += sum(count for count, text in zip(texts.values(), read_texts, strict=True) if text not in known)
    return NewNames(n_tagged, n_new)
