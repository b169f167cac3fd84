"""Whoever asks a follower at each token decodes the same answer as the automaton itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.drafting import draft_steps
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.text.tag_grammar import GrammarState, TagGrammar
from tests.strategies import spans_in
from tests.text.test_tag_grammar import TAGS


@st.composite
def answers(draw):
    """An automaton with the steps of one of its answers."""
    chars = draw(st.lists(st.lists(st.integers(100, 120), min_size=1, max_size=3).map(tuple), max_size=12))
    copier = TagGrammar(chars, TAGS)
    return copier, draft_steps(copier, draw(spans_in(len(chars))))


@given(answers())
def test_at_each_token_it_allows_what_the_automaton_does(answer):
    copier, steps = answer
    follower, state, tokens = GrammarMatcher(copier), GrammarState(), []
    for step in steps:
        assert follower.allowed_tokens(tokens) == copier.allowed_tokens(state) == step.allowed
        tokens.append(step.token)
        state, _ = copier.advance(state, step.token)
    assert follower.allowed_tokens(tokens) == ()


@given(answers(), st.data())
def test_it_may_skip_tokens_and_begin_again(answer, data):
    copier, steps = answer
    follower, tokens = GrammarMatcher(copier), [step.token for step in steps]
    for end in data.draw(st.lists(st.integers(0, len(steps)), max_size=6)):
        wanted = steps[end].allowed if end < len(steps) else ()
        assert follower.allowed_tokens(tokens[:end]) == wanted


@given(answers(), st.data())
def test_it_ends_where_a_draft_for_the_same_quiet_slots_ends(answer, data):
    copier, steps = answer
    n = len(copier.char_tokens)
    quiet = np.array(data.draw(st.lists(st.booleans(), min_size=n + 1, max_size=n + 1)))
    short = draft_steps(copier, copier.read_answer([s.token for s in steps], [1.0] * len(steps)).spans, stop_mask=quiet)
    follower = GrammarMatcher(copier, quiet)
    for k in range(len(short)):
        assert follower.allowed_tokens([step.token for step in short[:k]])
    assert follower.allowed_tokens([step.token for step in short]) == ()
