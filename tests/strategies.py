"""What the tests draw: texts as dirty as the corpus, and all that is said of them."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from rayner.fusion.conflict_regions import ENTROPY_REDUCTIONS, LLM_CONFIDENCES, LLM_REDUCTIONS
from rayner.fusion.region_rule import RegionRule
from rayner.text.hints import HintEntity
from rayner.text.predictions import CandidateScore, LlmAnswer, LlmEntity, SlmPrediction
from rayner.text.spans import Span
from rayner.text.tag_grammar import TagSpelling
from rayner.text.tags import bmes_labels

TYPES = ("NB", "NR", "NS")
LABELS = bmes_labels(TYPES)

# Han, private use, outside the BMP, combining; markup; white space and line ends of several kinds; sentence ends.
ODD = "楚懷王\ue000\U000f0000𠀀\u0301<>&/;\t\n\r \u2028\u3000\u00a0。？！，」』”’）》〕】〉"

chars = st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"]))
types = st.sampled_from(TYPES)
probabilities = st.floats(0, 1, width=32)
entropies = st.floats(0, 4, width=32)


def at_most(examples):
    """For a property that is dear to try; a profile may ask for fewer still."""
    return settings(max_examples=min(examples, settings.default.max_examples))


def texts(max_size=40):
    return st.text(chars, max_size=max_size)


@st.composite
def spans_in(draw, n_chars):
    """Spans in order that lie in a text of `n_chars` characters and do not overlap; often adjacent."""
    spans, at = [], 0
    while at < n_chars and draw(st.integers(0, 7)):
        start = at + draw(st.integers(0, min(2, n_chars - at - 1)))
        end = start + draw(st.integers(1, min(4, n_chars - start)))
        spans.append(Span(start, end, draw(types)))
        at = end
    return tuple(spans)


@st.composite
def tagged_texts(draw, max_size=40):
    """A text and its spans."""
    text = draw(texts(max_size))
    return text, draw(spans_in(len(text)))


def hints(spans):
    """Spans as what the small model said of a text."""
    entities = st.lists(probabilities, min_size=len(spans), max_size=len(spans))
    return entities.map(lambda confidences: tuple(map(HintEntity, spans, confidences)))


@st.composite
def spans_with_length(draw, max_chars=30):
    """Spans and the number of characters of their text."""
    n_chars = draw(st.integers(0, max_chars))
    return draw(spans_in(n_chars)), n_chars


def legal_tags(max_units=12):
    """BMES sequences written unit by unit, independently of rayner."""

    def unit(length, kind):
        if length < 2:
            return [f"S-{kind}"] if length else ["O"]
        return [f"B-{kind}", *[f"M-{kind}"] * (length - 2), f"E-{kind}"]

    units = st.lists(st.builds(unit, st.integers(0, 5), types), max_size=max_units)
    return units.map(lambda parts: [tag for part in parts for tag in part])


def any_tags(max_size=12):
    """Sequences of BMES tags, most of them illegal."""
    return st.lists(st.sampled_from(LABELS), max_size=max_size)


def floats32(values):
    return np.array(values, dtype=np.float32)


def vectors(elements, size):
    return st.lists(elements, min_size=size, max_size=size).map(floats32)


def slm_scores(n_chars, elements=entropies):
    return st.builds(SlmPrediction, spans_in(n_chars), vectors(elements, n_chars))


def any_span_in(n_chars, max_size=4, kinds=types):
    """One span of a text with characters."""
    return st.builds(
        lambda start, size, kind: Span(start, min(start + size, n_chars), kind),
        st.integers(0, n_chars - 1), st.integers(1, max_size), kinds,
    )  # fmt: skip


@st.composite
def candidate_scores_of(draw, spans):
    """Scores of some of the spans."""
    odds = st.tuples(*[st.floats(-40, 40)] * 4)
    return tuple(CandidateScore(span, *draw(odds)) for span in spans if draw(st.booleans()))


@st.composite
def llm_answers(draw, n_chars):
    spans = draw(spans_in(n_chars))
    items = tuple(LlmEntity(span, draw(probabilities), draw(probabilities)) for span in spans)
    scored = draw(
        st.none()
        | st.just(spans)
        | (st.lists(any_span_in(n_chars), max_size=3, unique=True) if n_chars else st.just(()))
    )
    scores = None if scored is None else draw(candidate_scores_of(scored))
    return LlmAnswer(items, draw(vectors(probabilities, n_chars + 1)), candidate_scores=scores)


@st.composite
def votes(draw, max_chars=8):
    """What both models say of the same text; the LLM often repeats spans of the SLM."""
    n_chars = draw(st.integers(0, max_chars))
    slm = draw(slm_scores(n_chars))
    llm = draw(llm_answers(n_chars))
    kept = [span for span in slm.spans if draw(st.booleans())]
    items = [item for item in llm.entities if not any(item.span.overlaps(span) for span in kept)]
    items += [LlmEntity(span, draw(probabilities), draw(probabilities)) for span in kept]
    return slm, LlmAnswer(tuple(sorted(items, key=lambda item: item.span)), llm.slot_probs)


def rules(weights=None):
    return st.builds(
        RegionRule,
        weight=st.floats(-5, 5) if weights is None else weights,
        entropy_reduction=st.sampled_from(ENTROPY_REDUCTIONS),
        llm_reduction=st.sampled_from(LLM_REDUCTIONS),
        llm_confidence=st.sampled_from(LLM_CONFIDENCES),
    )


@st.composite
def tag_spellings(draw):
    """Spellings of tags over tokens 0 to 9: `</` of one or two tokens, types that begin alike or lie in one another."""
    names = st.lists(st.integers(5, 7), min_size=1, max_size=3).map(tuple)
    spelled = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return TagSpelling(
        open=draw(st.sampled_from([(0,), (0, 4)])),
        close=draw(st.sampled_from([(1,), (0, 1), (0, 0), (1, 0)])),
        end=draw(st.sampled_from([(2,), (2, 3), (2, 2)])),
        types=dict(zip(("NR", "NS", "NB", "NG"), spelled, strict=False)),
    )


def char_spellings(max_chars=8):
    """Characters of one to four tokens. They may share tokens with the tags anywhere but at their beginning."""
    char = st.tuples(st.integers(2, 9), st.lists(st.integers(0, 9), max_size=3)).map(
        lambda parts: (parts[0], *parts[1])
    )
    return st.lists(char, max_size=max_chars)
