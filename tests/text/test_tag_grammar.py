import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import GrammarState, TagGrammar, TagSpelling, TokenRole
from tests.strategies import char_spellings, spans_in, tag_spellings

# `<` is 0, `</` is 1 or 0 1, `>` is 2; N is 5, R is 6, S is 7.
TAGS = TagSpelling(open=(0,), close=(1,), end=(2,), types={"NR": (5, 6), "NS": (5, 7)})
TWO_TOKENS = TagSpelling(open=(0,), close=(0, 1), end=(2,), types=TAGS.types)


@dataclass
class Written:
    """An answer spelled without the automaton: its tokens, what each does, and how free its choice was."""

    tags: TagSpelling
    tokens: list = field(default_factory=list)
    roles: list = field(default_factory=list)
    choices: list = field(default_factory=list)  # (token's place, slot) where there was an alternative
    places: list = field(default_factory=list)  # of each span: place of its `<` and `</`
    type_choices: list = field(default_factory=list)  # of each span: places of the type's tokens where types differ

    def put(self, token, role, slot=None):
        self.tokens.append(token)
        self.roles.append(role)
        if slot is not None:
            self.choices.append((len(self.tokens) - 1, slot))

    def rest(self, tokens):
        for token in tokens:
            self.put(token, TokenRole.REST)

    def type_name(self, kind, slot):
        names = {k: (*tokens, *self.tags.end) for k, tokens in self.tags.types.items()}
        self.type_choices.append([])
        for j, token in enumerate(names[kind]):
            rivals = {name[j] for name in names.values() if name[:j] == names[kind][:j]}
            self.put(token, TokenRole.REST if j else TokenRole.TYPE, slot if len(rivals) > 1 else None)
            if len(rivals) > 1:
                self.type_choices[-1].append(len(self.tokens) - 1)


def written(chars, tags, spans):
    out = Written(tags)
    begins, ends = {s.start: s for s in spans}, {s.end: s for s in spans}
    for i in range(len(chars) + 1):
        if i in ends:
            out.places[-1] += (len(out.tokens),)
            out.put(tags.close[0], TokenRole.CLOSE, i if i < len(chars) else None)
            out.rest(tags.close[1:])
            out.rest(tags.types[ends[i].type])
            out.rest(tags.end)
        if i in begins:
            opening = len(out.tokens)
            out.put(tags.open[0], TokenRole.OPEN, i)
            out.rest(tags.open[1:])
            out.places.append((opening,))
            out.type_name(begins[i].type, i)
        if i < len(chars):
            out.put(chars[i][0], TokenRole.COPY, None if i in begins else i)
            out.rest(chars[i][1:])
    return out


@st.composite
def answers(draw, max_chars=6):
    """Characters and tags as spelled, and spans whose types can be spelled."""
    chars, tags = draw(char_spellings(max_chars)), draw(tag_spellings())
    kinds = st.sampled_from(sorted(tags.types))
    return chars, tags, tuple(Span(s.start, s.end, draw(kinds)) for s in draw(spans_in(len(chars))))


def drawn_probs(data, n):
    return data.draw(st.lists(st.floats(0.01, 1), min_size=n, max_size=n))


@given(answers())
def test_spell_writes_the_text_with_its_tags(drawn):
    chars, tags, spans = drawn
    expected = written(chars, tags, spans)
    steps = TagGrammar(chars, tags).spell_answer(spans)
    assert [step.token for step in steps] == expected.tokens
    assert [step.role for step in steps] == expected.roles
    assert [(k, step.slot) for k, step in enumerate(steps) if len(step.allowed) > 1] == expected.choices
    assert all(step.token in step.allowed for step in steps)


@given(answers(), st.data())
def test_read_inverts_spell(drawn, data):
    chars, tags, spans = drawn
    copier = TagGrammar(chars, tags)
    tokens = [step.token for step in copier.spell_answer(spans)]
    answer = copier.read_answer(tokens, drawn_probs(data, len(tokens)), passes=3)
    assert answer.spans == spans
    assert answer.passes == 3


@given(char_spellings(), tag_spellings(), st.randoms(use_true_random=False), st.data())
def test_any_walk_over_what_is_allowed_ends_in_a_copy_of_the_text_with_legal_spans(chars, tags, random, data):
    copier = TagGrammar(chars, tags)
    state, tokens, roles = GrammarState(), [], []
    longest_tags = 2 * max(len(name) for name in tags.types.values()) + len(tags.open + tags.close + 2 * tags.end)
    bound = sum(map(len, chars)) + len(chars) * longest_tags
    while allowed := copier.allowed_tokens(state):
        assert len(set(allowed)) == len(allowed)
        token = random.choice(allowed)
        state, role = copier.advance(state, token)
        tokens.append(token)
        roles.append(role)
        assert len(tokens) <= bound
    assert state.n_copied == len(chars)
    assert [t for t, role in zip(tokens, roles, strict=True) if role is TokenRole.COPY] == [char[0] for char in chars]

    answer = copier.read_answer(tokens, drawn_probs(data, len(tokens)))
    assert sort_and_check_spans(answer.spans, len(chars)) == answer.spans
    assert {span.type for span in answer.spans} <= tags.types.keys()
    assert [step.token for step in copier.spell_answer(answer.spans)] == tokens


@given(answers(), st.data())
def test_copying_on_is_the_first_of_what_is_allowed_outside_the_tags(drawn, data):
    chars, tags, spans = drawn
    for step in TagGrammar(chars, tags).spell_answer(spans):
        if step.role is TokenRole.COPY:
            assert step.token == step.allowed[0] == chars[step.slot][0]
        elif step.role in (TokenRole.OPEN, TokenRole.CLOSE) and step.slot < len(chars):
            assert step.allowed == (chars[step.slot][0], step.token)


@given(answers(), st.data())
def test_category_is_the_product_over_the_tokens_of_the_type_at_which_types_differ(drawn, data):
    chars, tags, spans = drawn
    expected = written(chars, tags, spans)
    probs = drawn_probs(data, len(expected.tokens))
    answer = TagGrammar(chars, tags).read_answer(expected.tokens, probs)
    products = [math.prod(probs[k] for k in choices) for choices in expected.type_choices]
    assert [item.category_prob for item in answer.entities] == pytest.approx(products)
    assert all(0 <= item.category_prob <= 1 for item in answer.entities)


# As Qwen2.5 spells the types of the medical classics: Z is 5, D 6, P 7, S 8; ZZ, ZF and ZA are one token each.
QWEN = TagSpelling(
    open=(0,), close=(1,), end=(2,),
    types={"ZD": (5, 6), "ZP": (5, 7), "ZS": (5, 8), "ZZ": (20,), "ZF": (21,), "ZA": (22,)},
)  # fmt: skip


def test_types_that_begin_with_the_same_token_have_categories_of_their_own():
    copier = TagGrammar([(10,), (11,), (12,), (13,)], QWEN)
    spans = [Span(0, 1, "ZD"), Span(1, 2, "ZP"), Span(2, 3, "ZS"), Span(3, 4, "ZF")]
    steps = copier.spell_answer(spans)
    by_token = {5: 0.5, 6: 0.75, 7: 0.5, 8: 0.25, 21: 0.125}
    # Behind `</` the type is already decided, so its tokens there change nothing, whatever their probabilities.
    probs = [by_token.get(step.token, 1.0) if len(step.allowed) > 1 else 0.3 for step in steps]
    answer = copier.read_answer([step.token for step in steps], probs)
    assert [item.category_prob for item in answer.entities] == [0.375, 0.25, 0.125, 0.125]


def test_the_only_type_is_certain_once_it_is_opened():
    copier = TagGrammar([(10,)], TagSpelling(open=(0,), close=(1,), end=(2,), types={"ZD": (5, 6)}))
    steps = copier.spell_answer([Span(0, 1, "ZD")])
    (item,) = copier.read_answer([step.token for step in steps], [0.5] * len(steps)).entities
    assert item.category_prob == 1.0


@given(answers(), st.data())
def test_boundary_is_the_mean_over_both_tags_and_the_tokens_before_them_where_there_are_such(drawn, data):
    chars, tags, spans = drawn
    expected = written(chars, tags, spans)
    probs = drawn_probs(data, len(expected.tokens))
    answer = TagGrammar(chars, tags).read_answer(expected.tokens, np.array(probs))
    for item, (opening, closing) in zip(answer.entities, expected.places, strict=True):
        four = [probs[k] for k in (opening - 1, opening, closing - 1, closing) if k >= 0]
        assert len(four) == (4 if opening else 3)
        assert item.boundary_prob == pytest.approx(sum(four) / len(four))


@given(answers(), st.data())
def test_decisions_are_the_products_of_the_probabilities_of_free_choices_before_each_character(drawn, data):
    chars, tags, spans = drawn
    expected = written(chars, tags, spans)
    probs = drawn_probs(data, len(expected.tokens))
    products = np.ones(len(chars) + 1)
    for k, slot in expected.choices:
        products[slot] *= probs[k]
    decisions = TagGrammar(chars, tags).read_answer(expected.tokens, probs).slot_probs
    assert decisions.dtype == np.float32
    np.testing.assert_allclose(decisions, products, rtol=1e-5)


def test_confidences_of_an_answer_worked_by_hand():
    # 楚<NR>懷王</NR>使, with `</` of two tokens and 懷 of two.
    copier = TagGrammar([(10,), (11, 12), (13,), (14,)], TWO_TOKENS)
    tokens = [10, 0, 5, 6, 2, 11, 12, 13, 0, 1, 5, 6, 2, 14]
    probs = [0.5, 0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 0.6, 0.4, 0.1, 0.1, 0.1, 0.1, 0.3]
    answer = copier.read_answer(tokens, probs)
    (item,) = answer.entities
    assert item.span == Span(1, 3, "NR")
    assert item.category_prob == 0.7  # of R, which tells NR from NS; N is common to both
    assert item.boundary_prob == pytest.approx((0.5 + 0.9 + 0.6 + 0.4) / 4)
    # Slot 1: to open and R (N and > are forced); slot 2: not to close; slot 3: to close, and not to open again.
    np.testing.assert_allclose(answer.slot_probs, [0.5, 0.9 * 0.7, 0.6, 0.4 * 0.3, 1.0], rtol=1e-6)


def test_an_empty_text_has_an_empty_answer():
    copier = TagGrammar([], TAGS)
    assert copier.allowed_tokens(GrammarState()) == ()
    assert copier.spell_answer([]) == []
    answer = copier.read_answer([], [])
    assert (answer.entities, answer.slot_probs.tolist(), answer.passes) == ((), [1.0], 0)


def test_an_entity_holds_a_character_and_is_closed_before_the_answer_ends():
    copier = TagGrammar([(10,)], TAGS)
    state = GrammarState()
    for token, allowed in [(0, (10, 0)), (5, (5,)), (7, (6, 7)), (2, (2,)), (10, (10,)), (1, (1,)), (5, (5,))]:
        assert copier.allowed_tokens(state) == allowed
        state, _ = copier.advance(state, token)
    assert copier.allowed_tokens(state) == (7,)


def test_a_type_whose_name_begins_another_is_told_by_what_follows():
    tags = TagSpelling(open=(0,), close=(1,), end=(2,), types={"N": (5,), "NR": (5, 6)})
    copier = TagGrammar([(10,), (11,)], tags)
    for kind in ("N", "NR"):
        steps = copier.spell_answer([Span(0, 1, kind)])
        assert steps[2].allowed == (2, 6)
        assert copier.read_answer([step.token for step in steps], [1.0] * len(steps)).spans == (Span(0, 1, kind),)


@pytest.mark.parametrize("char", [(), (0,), (0, 9), (1,), (1, 9)])
def test_a_character_that_is_nothing_or_starts_like_a_tag_is_refused(char):
    with pytest.raises(ValueError, match="character 1 is spelled"):
        TagGrammar([(10,), char], TAGS)


@pytest.mark.parametrize("token", [0, 1, 2, 5])
def test_a_character_may_hold_a_token_of_a_tag_elsewhere(token):
    copier = TagGrammar([(10, token)], TAGS)
    steps = copier.spell_answer([Span(0, 1, "NS")])
    assert copier.read_answer([step.token for step in steps], [1.0] * len(steps)).spans == (Span(0, 1, "NS"),)


@given(answers(), st.data())
def test_read_refuses_a_token_that_is_not_allowed(drawn, data):
    chars, tags, spans = drawn
    copier = TagGrammar(chars, tags)
    steps = copier.spell_answer(spans)
    tokens = [step.token for step in steps]
    k = data.draw(st.integers(0, len(steps)))
    allowed = steps[k].allowed if k < len(steps) else ()
    wrong = data.draw(st.sampled_from([token for token in range(11) if token not in allowed]))
    changed = [*tokens[:k], wrong, *tokens[k + 1 :]]
    with pytest.raises(ValueError, match=f"token {k} of the answer is {wrong}"):
        copier.read_answer(changed, [1.0] * len(changed))


@given(answers(), st.data())
def test_read_refuses_an_answer_that_stops_early(drawn, data):
    chars, tags, spans = drawn
    copier = TagGrammar(chars, tags)
    tokens = [step.token for step in copier.spell_answer(spans)]
    for k in range(len(tokens)):
        with pytest.raises(ValueError, match=f"stops after .* of {len(chars)} characters"):
            copier.read_answer(tokens[:k], [1.0] * k)


def test_read_refuses_tokens_without_a_probability_each():
    with pytest.raises(ValueError, match="zip"):
        TagGrammar([(10,)], TAGS).read_answer([10], [])


@pytest.mark.parametrize("types", [{"NR": (5,)}, TAGS.types])
def test_spell_refuses_a_type_that_has_no_spelling(types):
    tags = TagSpelling(open=(0,), close=(1,), end=(2,), types=types)
    with pytest.raises(ValueError, match=r"no spelling for \['ZF'\]"):
        TagGrammar([(10,)], tags).spell_answer([Span(0, 1, "ZF")])


def test_spell_refuses_spans_that_overlap_or_leave_the_text():
    with pytest.raises(ValueError, match="overlaps"):
        TagGrammar([(10,), (11,)], TAGS).spell_answer([Span(0, 2, "NR"), Span(1, 2, "NR")])
