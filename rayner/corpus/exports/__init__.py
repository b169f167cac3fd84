"""The tagged corpus in other people's formats: a file a format here, and a line in FORMATS.

Formats of users lie anywhere (docs/extending.md); what they are made of is below, too.
"""

from rayner.corpus.exports.brat import BRAT
from rayner.corpus.exports.conll import CONLL
from rayner.corpus.exports.docusky import DOCUSKY
from rayner.corpus.exports.driver import ExportCounts, export
from rayner.corpus.exports.evahan import EVAHAN, evahan_lines
from rayner.corpus.exports.hf import HF
from rayner.corpus.exports.jsonl import JSONL
from rayner.corpus.exports.label_studio import LABEL_STUDIO
from rayner.corpus.exports.markup import MARKUP
from rayner.corpus.exports.markus import MARKUS
from rayner.corpus.exports.shape import SCHEMES, SHARD, Choices, Format, each, spans_of
from rayner.corpus.exports.table import CSV
from rayner.corpus.exports.tags import read_tags
from rayner.corpus.exports.tei import TEI
from rayner.corpus.exports.webanno import WEBANNO
from rayner.corpus.tables import TaggedDocument

__all__ = [
    "FORMATS", "SCHEMES", "SHARD", "Choices", "ExportCounts", "Format", "TaggedDocument", "each", "evahan_lines",
    "export", "read_tags", "spans_of",
]  # fmt: skip

FORMATS = {
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
