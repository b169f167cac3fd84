"""Inline markup, as the LLM writes it: `<NG>楚</NG>使怒去`."""

from rayner.corpus.exports.shape import Choices, Format, each, spans_of
from rayner.corpus.tables import TaggedDocument
from rayner.corpus.texts import SUFFIX
from rayner.text.markup import encode


def _render(document: TaggedDocument, choices: Choices) -> str:
    return encode(document.text, spans_of(document))


MARKUP = Format({SUFFIX: each(_render)})
