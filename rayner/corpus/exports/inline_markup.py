"""Inline markup, as the LLM writes it: `<NG>楚</NG>使怒去`."""

from rayner.corpus.exports.export_format import ExportFormat, ExportOptions, get_entity_spans, make_text_writer
from rayner.corpus.tables import TaggedDocument
from rayner.corpus.text_files import TEXT_SUFFIX
from rayner.text.markup import spans_to_markup


def _render(document: TaggedDocument, options: ExportOptions) -> str:
    return spans_to_markup(document.text, get_entity_spans(document))


MARKUP = ExportFormat({TEXT_SUFFIX: make_text_writer(_render)})
