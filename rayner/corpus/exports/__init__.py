"""Write a tagged corpus in other formats (`rayner export`).

Start with `export_corpus` (the loop over documents) and `ExportFormat` (the description of a format). Each format has a
module in this package and an entry in EXPORT_FORMATS. A user can define a format outside rayner with the names that
this module exports (docs/extending.md).
"""

from dataclasses import replace

from rayner.corpus.exports.brat import BRAT
from rayner.corpus.exports.conll import CONLL
from rayner.corpus.exports.csv_rows import CSV
from rayner.corpus.exports.docusky import DOCUSKY
from rayner.corpus.exports.evahan import EVAHAN, format_evahan_lines
from rayner.corpus.exports.export import ExportCounts, export_corpus
from rayner.corpus.exports.export_format import (
    CHARS_PER_FILE,
    CONLL_SCHEMES,
    ExportFormat,
    ExportOptions,
    get_entity_spans,
    make_text_writer,
)
from rayner.corpus.exports.hf import HF
from rayner.corpus.exports.inline_markup import MARKUP
from rayner.corpus.exports.jsonl import JSONL
from rayner.corpus.exports.label_studio import LABEL_STUDIO
from rayner.corpus.exports.markus import MARKUS
from rayner.corpus.exports.tei import TEI
from rayner.corpus.exports.type_names import read_type_names
from rayner.corpus.exports.webanno import WEBANNO
from rayner.corpus.tables import TaggedDocument

__all__ = [
    "CHARS_PER_FILE",
    "CONLL_SCHEMES",
    "EXPORT_FORMATS",
    "ExportCounts",
    "ExportFormat",
    "ExportOptions",
    "TaggedDocument",
    "export_corpus",
    "format_evahan_lines",
    "get_entity_spans",
    "make_text_writer",
    "read_type_names",
]  # fmt: skip

_FORMATS = {
    "evahan": EVAHAN,
    "conll": CONLL,
    "jsonl": JSONL,
    "csv": CSV,
    "tei": TEI,
    "label-studio": LABEL_STUDIO,
    "webanno": WEBANNO,
    "brat": BRAT,
    "hf": HF,
    "markup": MARKUP,
    "docusky": DOCUSKY,
    "markus": MARKUS,
}
EXPORT_FORMATS = {name: replace(export_format, name=name) for name, export_format in _FORMATS.items()}
