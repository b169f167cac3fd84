"""What the readers of labelled files return: texts with their entities, and how often something was irregular."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rayner.text.spans import Span

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text with its entities, in order and without overlaps. It may have many sentences.

    location: Where the text begins, for messages, such as `labels.csv:12`.
    """

    text: str
    spans: tuple[Span, ...]
    location: str


@dataclass(frozen=True)
class LabelledTexts:
    """The content of a labelled file.

    read_as: What the file was taken for, in words.
    faults: How often each irregularity occurs (`LabelledFile.faults`).
    blank_line_offsets: See `LabelledFile`.
    """

    texts: Sequence[LabelledText]
    read_as: str
    faults: Mapping[str, int] = field(default_factory=dict)
    blank_line_offsets: tuple[int, ...] = ()
