r"""Brat: the text in a `.txt`, the entities in an `.ann` beside it, by offsets in code points.

An annotation must not reach over a line break, nor may its text hold a tab or what any reader takes for the end of a
line: such an entity is written in fragments that leave those characters out. Where one of them begins or ends the
entity, the note that belongs to it (its score and who decided it) has its true span. An entity of white space alone is
to brat one without a text, and is left out.
"""

import re
from collections.abc import Sequence

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, make_text_writer, shorten_float32
from rayner.corpus.tables import EntityRow, TaggedDocument
from rayner.corpus.text_files import TEXT_SUFFIX

_FRAGMENT = re.compile(r"[^\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def _fragments(row: EntityRow) -> list[tuple[int, int]]:
    start = row["start"]
    return [(start + match.start(), start + match.end()) for match in _FRAGMENT.finditer(row["text"])]


def _annotations(document: TaggedDocument, choices: ExportOptions) -> str:
    lines = []
    for i, row in enumerate((row for row in document.entities if row["text"].strip()), 1):
        fragments = _fragments(row)
        places = ";".join(f"{start} {end}" for start, end in fragments)
        text = " ".join(document.text[start:end] for start, end in fragments)
        lines.append(f"T{i}\t{row['type']} {places}\t{text}\n")
        score = shorten_float32(row["score"])
        facts = [] if score is None else [f"score={score}"]
        facts.append(f"decided_by={row['decided_by']}")
        if (row["start"], row["end"]) != (fragments[0][0], fragments[-1][1]):
            facts.append(f"span={row['start']}-{row['end']}")
        lines.append(f"#{i}\tAnnotatorNotes T{i}\t{' '.join(facts)}\n")
    return "".join(lines)


def _held(document: TaggedDocument) -> tuple[int, int]:
    return len(document.text), sum(bool(row["text"].strip()) for row in document.entities)


def _config(kinds: Sequence[str]) -> dict[str, bytes]:
    """What types there are; brat shows no others."""
    lines = ["[entities]", *kinds, "[relations]", "[events]", "[attributes]"]
    return {"annotation.conf": "".join(f"{line}\n" for line in lines).encode()}


BRAT = ExportFormat(
    {TEXT_SUFFIX: make_text_writer(lambda document, choices: document.text), ".ann": make_text_writer(_annotations)},
    extra_files=_config,
    count_exported=_held,
)
