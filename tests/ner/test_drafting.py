"""Drafts are legal from any state, follow the spans where they can, and take up what the LLM would have chosen."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.ner.copying import Copier, Role, State
from rayner.ner.drafting import draft, ends, revised
from rayner.ner.spans import Span, checked
from tests.strategies import char_spellings, spans_in, tag_spellings


@st.composite
def copiers(draw):
    tags = draw(tag_spellings())
    clash = {tags.open[0], tags.close[0]}
    chars = [char if char[0] not in clash else (9, *char) for char in draw(char_spellings())]
    return Copier(chars, tags)


@st.composite
def drafts(draw):
    """A copier, and spans of its text of types that it spells, or not."""
    copier = draw(copiers())
    return copier, draw(spans_in(len(copier.chars)))


def spelled(copier, spans):
    return [span for span in spans if span.type in copier.tags.types]


@given(drafts())
def test_a_draft_from_the_beginning_is_the_answer_with_these_spans(drawn):
    copier, spans = drawn
    assert draft(copier, spans) == copier.spell(spelled(copier, spans))


@given(drafts(), st.randoms(use_true_random=False))
def test_a_draft_goes_on_from_any_state_to_a_legal_end(drawn, rng):
    copier, spans = drawn
    state, taken = State(), []
    for _ in range(rng.randint(0, 30)):
        allowed = copier.allowed(state)
        if not allowed:
            break
        token = rng.choice(allowed)
        state, _ = copier.advance(state, token)
        taken.append(token)
    tokens = [*taken, *(step.token for step in draft(copier, spans, state))]
    found = copier.read(tokens, [1.0] * len(tokens))
    assert checked(found.plain, len(copier.chars)) == found.plain


@given(drafts(), st.integers(0, 8))
def test_a_draft_stops_after_the_first_quiet_slot_in_no_entity(drawn, at):
    copier, spans = drawn
    quiet = np.arange(len(copier.chars) + 1) >= at
    whole, part = draft(copier, spans), draft(copier, spans, quiet=quiet)
    assert whole[: len(part)] == part
    tokens = [step.token for step in part]
    known = copier.read(tokens, [1.0] * len(tokens), partial=True).known
    free = [i for i in range(len(copier.chars)) if i >= at and not any(s.start < i < s.end for s in spelled(*drawn))]
    assert known == (free[0] if free else len(copier.chars))


def corrections(copier, spans, answer, rounds):
    """Draft, choose as the answer would at each step, and draft again."""
    right = copier.spell(answer)
    for n in range(rounds):
        steps = draft(copier, spans)
        if steps == right:
            return n
        # What a model that thinks of the answer chooses at each slot, whatever stands before.
        chosen = [wanted(copier, step, answer) for step in steps]
        spans = revised(copier, spans, steps, chosen)
        assert checked(spans, len(copier.chars)) == tuple(spans)
    return None


def wanted(copier, step, answer):
    """Of the allowed tokens, the one that an answer holds at the step's slot."""
    kinds = {span.start: span.type for span in answer}
    if len(step.allowed) == 1:
        return step.token
    if step.role is Role.TYPE:
        return copier.tags.types[kinds[step.slot]][0] if step.slot in kinds else step.token
    tag = step.slot in kinds if step.allowed[-1] == copier.tags.open[0] else step.slot in {s.end for s in answer}
    return step.allowed[-1] if tag else step.allowed[0]


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(spans_in(n), spans_in(n), st.just(n))))
def test_corrections_keep_spans_legal_and_mostly_lead_to_the_answer(drawn):
    spans, answer, n = drawn
    corrections(plain_copier(n), spans, answer, 6)


def plain_copier(n):
    from rayner.ner.copying import TagSpelling

    tags = TagSpelling((0,), (1,), (2,), {"NR": (3,), "NS": (4,), "NB": (5,)})
    return Copier([(6 + i,) for i in range(n)], tags)


def test_what_the_llm_would_have_chosen_becomes_the_draft():
    copier = plain_copier(8)
    cases = [
        ([Span(1, 3, "NR")], [Span(1, 3, "NS")], 1),  # another type
        ([Span(1, 3, "NR"), Span(4, 6, "NS")], [Span(4, 6, "NS")], 1),  # not opened
        ([Span(1, 3, "NR")], [Span(1, 2, "NR")], 1),  # closed earlier
        ([Span(1, 3, "NR")], [Span(1, 4, "NR")], 1),  # closed later
        (
            [Span(0, 1, "NR"), Span(2, 3, "NS"), Span(6, 8, "NR")],
            [Span(0, 1, "NS"), Span(2, 4, "NS")],
            1,
        ),  # all at once
        ([], [Span(5, 7, "NR")], 1),  # opened: of the first type and two characters, unless told better
    ]
    for spans, answer, rounds in cases:
        assert corrections(copier, spans, answer, 4) == rounds, (spans, answer)


def test_steps_that_end_reading():
    quiet = np.array([False, True, True])
    assert ends(State(copied=1), Role.COPY, quiet)
    assert ends(State(copied=1, kind="NR", fresh=True), Role.COPY, quiet)  # an entity that begins there is not needed
    assert not ends(State(copied=1, kind="NR"), Role.COPY, quiet)
    assert not ends(State(copied=0), Role.COPY, quiet)
    assert not ends(State(copied=1), Role.OPEN, quiet)


def test_random_walks_of_drafts_never_raise():
    rng = random.Random(1)
    copier = plain_copier(6)
    for _ in range(200):
        spans = [Span(i, i + 1, rng.choice(["NR", "NS", "absurd"])) for i in range(6) if rng.random() < 0.4]
        steps = draft(copier, spans)
        chosen = [rng.choice(step.allowed) for step in steps]
        assert checked(revised(copier, spelled(copier, spans), steps, chosen), 6) is not None
