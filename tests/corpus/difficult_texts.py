"""Texts with all that formats stumble over, and tagged corpora of them."""

from hypothesis import strategies as st

from rayner.text.spans import Span
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import spans_in

SEGMENTS = (
    ("楚", "NG"),  # at the very beginning, and the next beside it
    ("懷王", "NR"),
    ("𠀀<b>&amp;\"'\t", None),
    ("上\n官", "NO"),  # with a line break inside
    ("大夫\r\n\r。", None),
    ("\t論\\n\\[語]|_*->;\r", "NB"),
    ("\u2028\u2029\x85\x0b\x0c\x1c\x1e\x00\x01\x08\x7f\x9f", None),
    ("\ue000𠂢\U000f0000\ufeff\u2028甲", "NS"),
    ("\n\n\n", None),  # lines without a character
    ("#Text= -DOCSTART- ]]> \u3000\u00a0=1+1", None),
    ("\n丙\n", "T"),  # that begins and ends with a line break
    ("\ufffe\uffff\U0010ffff\U0010fffd", None),
    ("咳\\", "ZD"),
    ("𠀀", "NS"),  # at the very end
)
TEXT = "".join(text for text, _ in SEGMENTS)
SPANS = [
    Span(sum(len(part) for part, _ in SEGMENTS[:i]), sum(len(part) for part, _ in SEGMENTS[: i + 1]), entity_type)
    for i, (_, entity_type) in enumerate(SEGMENTS)
    if entity_type
]
ODD = "楚𠀀\ue000\U000f0000\u0301\t\n\n\r\x0b\x0c\x1c\x00\x08\x85\u2028\u2029\u3000\ufeff\uffff<>&\"'\\[]|_*->;#=%, "
CHARS = st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8"))
PLAIN = st.sampled_from("楚懷王𠀀\ue000\U000f0000\u0301<>&\"'|，。\n")


@st.composite
def tagged_texts(draw, chars=CHARS):
    text = draw(st.text(chars, max_size=30))
    return text, list(draw(spans_in(len(text))))


def write_corpus(tagged, texts):
    """A tagged corpus of texts with their spans, by doc_id; scores and deciders of every sort in turn."""
    scores_and_deciders = ((0.95, "agree"), (0.6, "slm"), (0.25, "llm"), (None, "slm"))
    rows = []
    for doc_id, (text, spans) in texts.items():
        for i, s in enumerate(spans):
            score, decider = scores_and_deciders[i % 4]
            rows.append(
                entity(doc_id, s.start, text[s.start : s.end], s.type) | {"score": score, "decided_by": decider}
            )
    write_unit(tagged, "0.parquet", [document(doc_id, text) for doc_id, (text, _) in texts.items()], rows)
