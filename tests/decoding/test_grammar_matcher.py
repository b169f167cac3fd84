"""Whoever asks a matcher at each token decodes the same answer as the automaton itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rayner.decoding.drafting import draft_answer_tokens
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.text.tag_grammar import GrammarState, TagGrammar
from tests.strategies import spans_in
from tests.text.test_tag_grammar import TAGS


@st.composite
def answers(draw):
    """An automaton with the steps of one of its answers."""
    chars = draw(st.lists(st.lists(st.integers(100, 120), min_size=1, max_size=3).map(tuple), max_size=12))
    grammar = TagGrammar(chars, TAGS)
    return grammar, draft_answer_tokens(grammar, draw(spans_in(len(chars))))


@given(answers())
def test_at_each_token_it_allows_what_the_automaton_does(answer):
    grammar, steps = answer
    matcher, state, tokens = GrammarMatcher(grammar), GrammarState(), []
    for step in steps:
        assert matcher.allowed_tokens(tokens) == grammar.allowed_tokens(state) == step.allowed
        tokens.append(step.token)
        state, _ = grammar.advance(state, step.token)
    assert matcher.allowed_tokens(tokens) == ()


@given(answers(), st.data())
def test_it_may_skip_tokens_and_begin_again(answer, data):
    grammar, steps = answer
    matcher, tokens = GrammarMatcher(grammar), [step.token for step in steps]
    for end in data.draw(st.lists(st.integers(0, len(steps)), max_size=6)):
        wanted = steps[end].allowed if end < len(steps) else ()
        assert matcher.allowed_tokens(tokens[:end]) == wanted


@given(answers(), st.data())
def test_it_ends_where_a_draft_for_the_same_stop_slots_ends(answer, data):
    grammar, steps = answer
    n = len(grammar.char_tokens)
    stop_mask = np.array(data.draw(st.lists(st.booleans(), min_size=n + 1, max_size=n + 1)))
    short = draft_answer_tokens(
        grammar, grammar.read_answer([s.token for s in steps], [1.0] * len(steps)).spans, stop_mask=stop_mask
    )
    matcher = GrammarMatcher(grammar, stop_mask)
    for k in range(len(short)):
        assert matcher.allowed_tokens([step.token for step in short[:k]])
    assert matcher.allowed_tokens([step.token for step in short]) == ()
