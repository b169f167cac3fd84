r"""Brat format: the text in a `.txt` file, and the entities in an `.ann` file with offsets in code points.

In Brat, an annotation must not cross a line break, and its text must not contain a tab or a character that some
programs treat as the end of a line. An entity with such characters is written as several fragments without them. If the
entity begins or ends with such a character, its note (score, decided_by) also contains its true span. An entity that
consists only of white space is left out, because for Brat it has no text.
"""

import re
from collections.abc import Sequence

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer, shorten_float32
from rayner.corpus.tables import EntityRow, TaggedDocument
from rayner.corpus.text_files import TEXT_SUFFIX

_FRAGMENT = re.compile(r"[^\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def _split_entity_at_line_breaks(entity: EntityRow) -> list[tuple[int, int]]:
    """Return the start and the end of each fragment of an entity."""
    start = entity["start"]
    return [(start + match.start(), start + match.end()) for match in _FRAGMENT.finditer(entity["text"])]


def _select_written_entities(document: TaggedDocument) -> list[EntityRow]:
    return [entity for entity in document.entities if entity["text"].strip()]


def _format_annotations(document: TaggedDocument, options: ExportOptions) -> str:
    lines = []
    for i, entity in enumerate(_select_written_entities(document), 1):
        fragments = _split_entity_at_line_breaks(entity)
        offsets = ";".join(f"{start} {end}" for start, end in fragments)
        text = " ".join(document.text[start:end] for start, end in fragments)
        lines.append(f"T{i}\t{entity['type']} {offsets}\t{text}\n")
        score = shorten_float32(entity["score"])
        notes = [] if score is None else [f"score={score}"]
        notes.append(f"decided_by={entity['decided_by']}")
        if (entity["start"], entity["end"]) != (fragments[0][0], fragments[-1][1]):
            notes.append(f"span={entity['start']}-{entity['end']}")
        lines.append(f"#{i}\tAnnotatorNotes T{i}\t{' '.join(notes)}\n")
    return "".join(lines)


def _count_exported_chars_and_entities(document: TaggedDocument) -> tuple[int, int]:
    return len(document.text), len(_select_written_entities(document))


def _build_config_file(types: Sequence[str]) -> dict[str, bytes]:
    """Return a configuration that declares the types. Brat shows only declared types."""
    lines = ["[entities]", *types, "[relations]", "[events]", "[attributes]"]
    return {"annotation.conf": "".join(f"{line}\n" for line in lines).encode()}


BRAT = ExportFormat(
    {
        TEXT_SUFFIX: make_text_writer(lambda document, options: document.text),
        ".ann": make_text_writer(_format_annotations),
    },
    extra_files=_build_config_file,
    count_exported=_count_exported_chars_and_entities,
)
