"""The decoding automaton: an answer is the text copied, plus tags (method, section 4, "Draft and verify").

At each step it names the tokens that are allowed: the next character, an opened type, the end of the open entity.
So every answer strips to its text, whatever the model says. It knows tokens as numbers only; how characters and
tags are spelled is given by the tokenizer's owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rayner.text.predictions import LlmAnswer, LlmEntity
from rayner.text.spans import Span, sort_and_check_spans

TokenIds = tuple[int, ...]


class TokenRole(Enum):
    """What a token of the answer does."""

    COPY = "copy"  # first token of a character
    OPEN = "open"  # the `<` before a type
    TYPE = "type"  # first token that spells a type
    CLOSE = "close"  # the `</` after an entity
    REST = "rest"  # what had to follow one of these


@dataclass(frozen=True)
class TagSpelling:
    """Tokens of `<`, `</`, `>` and of each type's name. No type's tokens may be another's."""

    open: TokenIds
    close: TokenIds
    end: TokenIds
    types: Mapping[str, TokenIds]


@dataclass(frozen=True, slots=True)
class GrammarState:
    """Where an answer stands: `copied` characters, the open type ('' for none), tokens that must follow.

    choosing: the tokens that already spell the type after `<`, or None when no type is being chosen.
    fresh: an entity was just opened and holds no character yet.
    """

    n_copied: int = 0
    open_type: str = ""
    forced_tokens: TokenIds = ()
    type_prefix: TokenIds | None = None
    just_opened: bool = False


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """One token of an answer: what was allowed, how many characters stood before it, and what it does."""

    token: int
    allowed: TokenIds
    slot: int
    role: TokenRole


class TagGrammar:
    """The automaton of one text.

    chars: the tokens of each character, none empty.
    Raises ValueError where a character starts like a tag, which would make answers ambiguous.
    """

    def __init__(self, chars: Sequence[TokenIds], tags: TagSpelling) -> None:
        clash = {tags.open[0], tags.close[0]}
        for i, tokens in enumerate(chars):
            if not tokens or tokens[0] in clash:
                raise ValueError(f"character {i} is spelled {tokens}, which is nothing or starts like a tag")
        self.char_tokens, self.spelling = chars, tags
        self._types = {(*tokens, *tags.end): kind for kind, tokens in tags.types.items()}

    def allowed_tokens(self, state: GrammarState) -> TokenIds:
        """The tokens that may follow, the first that of copying on; none once the answer is complete."""
        if state.forced_tokens:
            return state.forced_tokens[:1]
        if state.type_prefix is not None:
            n = len(state.type_prefix)
            return tuple(dict.fromkeys(t[n] for t in self._types if t[:n] == state.type_prefix))
        at_end = state.n_copied == len(self.char_tokens)
        copy = () if at_end else self.char_tokens[state.n_copied][:1]
        if state.just_opened:
            return copy
        if state.open_type:
            return (*copy, self.spelling.close[0])
        return () if at_end else (*copy, self.spelling.open[0])

    def advance(self, state: GrammarState, token: int) -> tuple[GrammarState, TokenRole]:
        """The state after an allowed token, and what the token did."""
        if state.forced_tokens:
            return GrammarState(
                state.n_copied, state.open_type, state.forced_tokens[1:], state.type_prefix
            ), TokenRole.REST
        if state.type_prefix is not None:
            spelled = (*state.type_prefix, token)
            role = TokenRole.REST if state.type_prefix else TokenRole.TYPE
            if spelled in self._types:
                return GrammarState(state.n_copied, self._types[spelled], just_opened=True), role
            return GrammarState(state.n_copied, type_prefix=spelled), role
        if state.n_copied < len(self.char_tokens) and token == self.char_tokens[state.n_copied][0]:
            return GrammarState(
                state.n_copied + 1, state.open_type, self.char_tokens[state.n_copied][1:]
            ), TokenRole.COPY
        if state.open_type:
            queue = (*self.spelling.close[1:], *self.spelling.types[state.open_type], *self.spelling.end)
            return GrammarState(state.n_copied, forced_tokens=queue), TokenRole.CLOSE
        return GrammarState(state.n_copied, forced_tokens=self.spelling.open[1:], type_prefix=()), TokenRole.OPEN

    def spell_answer(self, spans: Sequence[Span]) -> list[AnswerToken]:
        """The steps of the answer that carries these spans: what training teaches and what a draft proposes.

        Raises ValueError for a type that the tags cannot spell.
        """
        spans = sort_and_check_spans(spans, len(self.char_tokens))
        if unknown := {span.type for span in spans} - self.spelling.types.keys():
            raise ValueError(f"no spelling for {sorted(unknown)}")
        begins, ends = {s.start: s for s in spans}, {s.end for s in spans}
        steps, state = list[AnswerToken](), GrammarState()
        while allowed := self.allowed_tokens(state):
            token = self._next_token_of(state, allowed, begins, ends)
            after, role = self.advance(state, token)
            steps.append(AnswerToken(token, allowed, state.n_copied, role))
            state = after
        return steps

    def _next_token_of(self, state: GrammarState, allowed: TokenIds, begins: Mapping[int, Span], ends: set[int]) -> int:
        if len(allowed) == 1:
            return allowed[0]
        if state.type_prefix is not None:
            kind = begins[state.n_copied].type
            return (*self.spelling.types[kind], *self.spelling.end)[len(state.type_prefix)]
        tag_here = state.n_copied in ends if state.open_type else state.n_copied in begins
        return allowed[-1] if tag_here else allowed[0]

    def read_answer(
        self, tokens: Sequence[int], probs: Sequence[float], passes: int = 0, *, partial: bool = False
    ) -> LlmAnswer:
        """Entities and confidences of an answer, from the probability of each of its tokens.

        partial: the answer may stop right after the first token of a character; what it did not decide is NaN.

        Category: that of the first token that spells the type. Boundary: the mean over the opening `<`, the
        closing `</`, and the token just before each, where there is one (method, section 3).
        Tokens that had no alternative are no decisions: they do not count in `decisions`.
        Raises ValueError for a token that the automaton does not allow, or an answer that stops early.
        """
        decisions = np.ones(len(self.char_tokens) + 1, dtype=np.float32)
        spans: list[LlmEntity] = []
        state, start, category, opening = GrammarState(), -1, 0.0, list[float]()
        for k, (token, prob) in enumerate(zip(tokens, probs, strict=True)):
            allowed = self.allowed_tokens(state)
            if token not in allowed:
                raise ValueError(f"token {k} of the answer is {token}, allowed are {allowed}")
            if len(allowed) > 1:
                decisions[state.n_copied] *= prob
            after, role = self.advance(state, token)
            around = list(probs[max(k - 1, 0) : k + 1])
            if role is TokenRole.OPEN:
                start, opening = state.n_copied, around
            elif role is TokenRole.TYPE:
                category = float(prob)
            elif role is TokenRole.CLOSE:
                boundary = float(np.mean([*opening, *around]))
                spans.append(LlmEntity(Span(start, state.n_copied, state.open_type), category, boundary))
            state = after
        if partial and self.allowed_tokens(state):
            decisions[state.n_copied :] = np.nan
        elif self.allowed_tokens(state):
            raise ValueError(f"the answer stops after {state.n_copied} of {len(self.char_tokens)} characters")
        return LlmAnswer(tuple(spans), decisions, passes)
