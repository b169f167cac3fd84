"""Drafts are legal from any state, follow the spans where they can, and take up what the LLM would have chosen."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.drafting import draft_answer_tokens, reaches_stop_slot, revise_draft
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import GrammarState, TagGrammar, TokenRole
from tests.strategies import char_spellings, spans_in, tag_spellings
from tests.text.test_tag_grammar import QWEN


@st.composite
def copiers(draw):
    tags = draw(tag_spellings())
    clash = {tags.open[0], tags.close[0]}
    chars = [char if char[0] not in clash else (9, *char) for char in draw(char_spellings())]
    return TagGrammar(chars, tags)


@st.composite
def drafts(draw):
    """A grammar, and spans of its text of types that it spells, or not."""
    grammar = draw(copiers())
    return grammar, draw(spans_in(len(grammar.char_tokens)))


def spelled(grammar, spans):
    return [span for span in spans if span.type in grammar.spelling.types]


@given(drafts())
def test_a_draft_from_the_beginning_is_the_answer_with_these_spans(drawn):
    grammar, spans = drawn
    assert draft_answer_tokens(grammar, spans) == grammar.spell_answer(spelled(grammar, spans))


@given(drafts(), st.randoms(use_true_random=False))
def test_a_draft_goes_on_from_any_state_to_a_legal_end(drawn, rng):
    grammar, spans = drawn
    state, taken = GrammarState(), []
    for _ in range(rng.randint(0, 30)):
        allowed = grammar.allowed_tokens(state)
        if not allowed:
            break
        token = rng.choice(allowed)
        state, _ = grammar.advance(state, token)
        taken.append(token)
    tokens = [*taken, *(step.token for step in draft_answer_tokens(grammar, spans, state))]
    found = grammar.read_answer(tokens, [1.0] * len(tokens))
    assert sort_and_check_spans(found.spans, len(grammar.char_tokens)) == found.spans


@given(drafts(), st.integers(0, 8))
def test_a_draft_stops_after_the_first_stop_slot_in_no_entity(drawn, at):
    grammar, spans = drawn
    stop_mask = np.arange(len(grammar.char_tokens) + 1) >= at
    whole, part = draft_answer_tokens(grammar, spans), draft_answer_tokens(grammar, spans, stop_mask=stop_mask)
    assert whole[: len(part)] == part
    tokens = [step.token for step in part]
    known = grammar.read_answer(tokens, [1.0] * len(tokens), partial=True).last_known_slot
    free = [
        i for i in range(len(grammar.char_tokens)) if i >= at and not any(s.start < i < s.end for s in spelled(*drawn))
    ]
    n = len(grammar.char_tokens)
    expected = free[0] if free else n
    if expected == n - 1 and len(grammar.char_tokens[-1]) == 1 and not any(s.end == n for s in spelled(*drawn)):
        expected = n  # the only token of the last character ends the answer
    assert known == expected


def corrections(grammar, spans, answer, rounds):
    """Draft, choose as the answer would at each step, and draft again."""
    right = grammar.spell_answer(answer)
    for n in range(rounds):
        steps = draft_answer_tokens(grammar, spans)
        if steps == right:
            return n
        # What a model that thinks of the answer chooses at each slot, whatever stands before.
        chosen = [wanted(grammar, step, answer) for step in steps]
        spans = revise_draft(grammar, spans, steps, chosen)
        assert sort_and_check_spans(spans, len(grammar.char_tokens)) == tuple(spans)
    return None


def wanted(grammar, step, answer):
    """Of the allowed tokens, the one that an answer holds at the step's slot."""
    kinds = {span.start: span.type for span in answer}
    if len(step.allowed) == 1:
        return step.token
    if step.role is TokenRole.TYPE:
        return grammar.spelling.types[kinds[step.slot]][0] if step.slot in kinds else step.token
    if step.role is TokenRole.REST:  # of several types that begin alike
        names = {name[-1] for name in (grammar.spelling.types.get(kinds.get(step.slot), ()),) if name}
        return next(iter(names & set(step.allowed)), step.token)
    tag = step.slot in kinds if step.allowed[-1] == grammar.spelling.open[0] else step.slot in {s.end for s in answer}
    return step.allowed[-1] if tag else step.allowed[0]


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(spans_in(n), spans_in(n), st.just(n))))
def test_corrections_keep_spans_legal_and_lead_to_the_answer_in_a_few_rounds(drawn):
    spans, answer, n = drawn
    assert corrections(plain_grammar(n), spans, answer, 8) is not None


def plain_grammar(n):
    from rayner.text.tag_grammar import TagSpelling

    tags = TagSpelling((0,), (1,), (2,), {"NR": (3,), "NS": (4,), "NB": (5,)})
    return TagGrammar([(6 + i,) for i in range(n)], tags)


def test_what_the_llm_would_have_chosen_becomes_the_draft():
    grammar = plain_grammar(8)
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
        assert corrections(grammar, spans, answer, 4) == rounds, (spans, answer)


def test_types_that_differ_in_a_later_token_are_all_corrected_at_once():
    grammar = TagGrammar([(30 + i,) for i in range(9)], QWEN)
    spans = [Span(0, 2, "ZD"), Span(3, 4, "ZP"), Span(5, 6, "ZF"), Span(7, 9, "ZS")]
    answer = [Span(0, 2, "ZP"), Span(3, 4, "ZS"), Span(5, 6, "ZF"), Span(7, 9, "ZD")]
    assert corrections(grammar, spans, answer, 2) == 1


def test_steps_that_end_reading():
    stop_mask = np.array([False, True, True])
    assert reaches_stop_slot(GrammarState(n_copied=1), TokenRole.COPY, stop_mask)
    assert reaches_stop_slot(
        GrammarState(n_copied=1, open_type="NR", just_opened=True), TokenRole.COPY, stop_mask
    )  # an entity that begins there is not needed
    assert not reaches_stop_slot(GrammarState(n_copied=1, open_type="NR"), TokenRole.COPY, stop_mask)
    assert not reaches_stop_slot(GrammarState(n_copied=0), TokenRole.COPY, stop_mask)
    assert not reaches_stop_slot(GrammarState(n_copied=1), TokenRole.OPEN, stop_mask)


def test_random_walks_of_drafts_never_raise():
    rng = random.Random(1)
    grammar = plain_grammar(6)
    for _ in range(200):
        spans = [Span(i, i + 1, rng.choice(["NR", "NS", "absurd"])) for i in range(6) if rng.random() < 0.4]
        steps = draft_answer_tokens(grammar, spans)
        chosen = [rng.choice(step.allowed) for step in steps]
        assert sort_and_check_spans(revise_draft(grammar, spelled(grammar, spans), steps, chosen), 6) is not None


def corrected(spans, chosen, n=8):
    """The spans, where the LLM chose otherwise at some steps: {number of the step: token}."""
    grammar = plain_grammar(n)
    steps = draft_answer_tokens(grammar, spans)
    return revise_draft(grammar, spans, steps, [chosen.get(i, step.token) for i, step in enumerate(steps)])


def test_a_correction_changes_the_entity_that_it_is_about_and_no_other():
    spans = [Span(0, 2, "NR"), Span(3, 5, "NS"), Span(6, 8, "NB")]
    steps = draft_answer_tokens(plain_grammar(8), spans)

    def at(slot, role):
        return next(i for i, step in enumerate(steps) if (step.slot, step.role) == (slot, role))

    assert corrected(spans, {}) == spans
    assert corrected(spans, {at(3, TokenRole.TYPE): 5}) == [spans[0], Span(3, 5, "NB"), spans[2]]
    assert corrected(spans, {at(3, TokenRole.OPEN): 9}) == [spans[0], spans[2]]
    assert corrected(spans, {at(5, TokenRole.CLOSE): 11}) == [spans[0], Span(3, 6, "NS"), spans[2]]
    assert corrected(spans, {at(4, TokenRole.COPY): 1}) == [spans[0], Span(3, 4, "NS"), spans[2]]
    assert corrected(spans, {at(2, TokenRole.COPY): 0}) == [spans[0], Span(2, 3, "NS"), *spans[1:]]
    # What follows an entity at once is not closed, and the last cannot go on past the text.
    assert corrected([Span(0, 2, "NR"), Span(2, 4, "NS")], {}) == [Span(0, 2, "NR"), Span(2, 4, "NS")]
    assert corrected(spans, {at(8, TokenRole.CLOSE): 99}) == spans


def test_what_the_llm_opens_is_of_the_type_of_the_nearest_entity():
    spans = [Span(0, 1, "NB"), Span(7, 8, "NS")]
    steps = draft_answer_tokens(plain_grammar(8), spans)
    for slot, kind in ((2, "NB"), (3, "NB"), (4, "NS"), (5, "NS")):
        i = next(i for i, step in enumerate(steps) if (step.slot, step.role) == (slot, TokenRole.COPY))
        assert Span(slot, slot + 2, kind) in corrected(spans, {i: 0})
    assert corrected([], {3: 0}, 4) == [Span(3, 4, "NR")]  # of the first type where there is none, inside the text


def from_state(spans, state, n=8):
    """The entities of an answer that another began and a draft goes on with, after `state`."""
    grammar, out = plain_grammar(n), []
    start, kind = state.n_copied, state.open_type
    for step in draft_answer_tokens(grammar, spans, state):
        if step.role is TokenRole.OPEN:
            start = step.slot
        elif step.role is TokenRole.TYPE:
            kind = {3: "NR", 4: "NS", 5: "NB"}[step.token]
        elif step.role is TokenRole.CLOSE:
            out.append((start, step.slot, kind))
    return out


def test_a_draft_gives_what_another_opened_the_type_and_end_of_what_it_has_there():
    spans = [Span(2, 5, "NB"), Span(6, 8, "NS")]
    opened = {at: from_state(spans, GrammarState(at, type_prefix=())) for at in range(8)}
    assert opened[0] == [(0, 1, "NR"), (2, 5, "NB"), (6, 8, "NS")]  # nothing near: the first type, one character
    assert opened[1] == [(1, 5, "NB"), (6, 8, "NS")]  # before one
    assert opened[2] == [(2, 5, "NB"), (6, 8, "NS")]
    assert opened[3] == [(3, 5, "NB"), (6, 8, "NS")]
    assert opened[5] == [(5, 8, "NS")]  # the next is nearer than the one before
    inside = from_state(spans, GrammarState(4, "NR"))
    assert inside == [(4, 5, "NR"), (6, 8, "NS")]  # an entity that another began ends where the draft's does
    assert from_state(spans, GrammarState(1, "NR"))[0] == (1, 1, "NR")  # or at once
    assert from_state(spans[:1], GrammarState(6, type_prefix=())) == [(6, 7, "NR")]
    assert from_state([Span(0, 6, "NS")], GrammarState(6, type_prefix=())) == [(6, 7, "NS")]  # after one
