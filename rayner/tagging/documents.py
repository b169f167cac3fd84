"""A text and its entities, as a `FusionTagger` returns them."""

from dataclasses import dataclass

from rayner.text.messages import shorten_repr

_MAX_LISTED = 3  # entities in a repr


@dataclass(frozen=True, slots=True)
class Entity:
    """A named entity in a text.

    text: the characters [start, end) of the document's text.
    type: the entity type, as the labelled files name it, such as `NR`.
    start: the offset of its first character in the document, in Unicode code points.
    end: the offset after its last character.
    score: the calibrated probability that the entity is right; None if the run has no calibration.
    decided_by: `agree` (both models predicted it), `slm` or `llm`.
    """

    text: str
    type: str
    start: int
    end: int
    score: float | None
    decided_by: str


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A text with its entities.

    text: the text, unchanged.
    entities: the entities in text order. They do not overlap.
    errors: for each part of the text that could not be tagged, its offsets and the reason; empty if all went well.
    """

    text: str
    entities: tuple[Entity, ...] = ()
    errors: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the text with its entities in brackets, each followed by its type, such as `[懷王 NR]入[秦 NG]。`."""
        parts, last_end = [], 0
        for entity in self.entities:
            parts += [self.text[last_end : entity.start], f"[{entity.text} {entity.type}]"]
            last_end = entity.end
        return "".join([*parts, self.text[last_end:]])

    def __repr__(self) -> str:
        """Describe the document in one line, whatever its length."""
        entities = [f"{shorten_repr(entity.text)[1:-1]} {entity.type}" for entity in self.entities[:_MAX_LISTED]]
        if len(self.entities) > _MAX_LISTED:
            entities.append(f"... {len(self.entities) - _MAX_LISTED:,} more")
        listed = f": {', '.join(entities)}" if entities else ""
        return f"<Document of {len(self.text):,} characters, {len(self.entities):,} entities{listed}>"

    def _repr_html_(self) -> str:
        """Return the text as HTML with coloured entities. Notebooks call this."""
        from rayner.tagging.html import format_as_html

        return format_as_html(self)
