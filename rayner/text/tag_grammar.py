"""The grammar of LLM answers: the text copied, plus tags (method, section 4, "Draft and verify").

At each step the grammar allows only the next character, the opening of a type, or the end of the open entity. So every
answer without its tags is the text, whatever the model prefers. Tokens are numbers here; the owner of the tokenizer
says how characters and tags are spelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rayner.text.predictions import LlmAnswer, LlmEntity
from rayner.text.spans import Span, sort_and_check_spans

TokenIds = tuple[int, ...]


class TokenRole(Enum):
    """What a token does in an answer."""

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
    """One token of an answer.

    allowed: the tokens that could stand here. slot: how many characters were copied before it.
    """

    token: int
    allowed: TokenIds
    slot: int
    role: TokenRole


class TagGrammar:
    """The grammar of the answers on one text.

    chars: the tokens of each character, none empty; tags: how tags are spelled.
    Raises ValueError if a character starts like a tag, which would make answers ambiguous.
    """

    def __init__(self, chars: Sequence[TokenIds], tags: TagSpelling) -> None:
        clash = {tags.open[0], tags.close[0]}
        for i, tokens in enumerate(chars):
            if not tokens or tokens[0] in clash:
                raise ValueError(f"character {i} is spelled {tokens}, which is nothing or starts like a tag")
        self.char_tokens, self.spelling = chars, tags
        self._types = {(*tokens, *tags.end): kind for kind, tokens in tags.types.items()}

    def allowed_tokens(self, state: GrammarState) -> TokenIds:
        """Return the tokens that may follow; the first copies on. None once the answer is complete."""
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
        """Return the state after an allowed token, and what the token does."""
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
        """Return the tokens of the answer with these entities: a training target or a draft.

        Raises ValueError for a type without a spelling.
        """
        spans = sort_and_check_spans(spans, len(self.char_tokens))
        if unknown := {span.type for span in spans} - self.spelling.types.keys():
            raise ValueError(f"no spelling for {sorted(unknown)}")
        span_at, ends = {span.start: span for span in spans}, {span.end for span in spans}
        answer, state = list[AnswerToken](), GrammarState()
        while allowed := self.allowed_tokens(state):
            token = self._next_token_for_spans(state, allowed, span_at, ends)
            next_state, role = self.advance(state, token)
            answer.append(AnswerToken(token, allowed, state.n_copied, role))
            state = next_state
        return answer

    def _next_token_for_spans(
        self, state: GrammarState, allowed: TokenIds, span_by_start: Mapping[int, Span], span_ends: set[int]
    ) -> int:
        """Return the allowed token that leads to an answer with these entities.

        span_by_start: each entity by its first character. span_ends: the slots at which entities end.
        """
        if len(allowed) == 1:
            return allowed[0]
        if state.type_prefix is not None:
            type_ = span_by_start[state.n_copied].type
            return (*self.spelling.types[type_], *self.spelling.end)[len(state.type_prefix)]
        tag_here = state.n_copied in span_ends if state.open_type else state.n_copied in span_by_start
        return allowed[-1] if tag_here else allowed[0]

    def read_answer(
        self, tokens: Sequence[int], probs: Sequence[float], passes: int = 0, *, partial: bool = False
    ) -> LlmAnswer:
        """Read entities and probabilities from the tokens of an answer.

        tokens: of the answer; probs: the probability of each; passes: forward passes that it took.
        partial: the answer may stop right after the first token of a character; slots that it did not reach are NaN.

        Category probability: of the first token that spells the type. Boundary probability: the mean over the opening
        `<`, the closing `</`, and the token just before each, if there is one (method, section 3).
        Tokens without an alternative do not count in `slot_probs`.
        Raises ValueError for a token that the grammar does not allow, and for an answer that stops early.
        """
        slot_probs = np.ones(len(self.char_tokens) + 1, dtype=np.float32)
        entities: list[LlmEntity] = []
        state, start, category_prob, opening_probs = GrammarState(), -1, 0.0, list[float]()
        for k, (token, prob) in enumerate(zip(tokens, probs, strict=True)):
            allowed = self.allowed_tokens(state)
            if token not in allowed:
                raise ValueError(f"token {k} of the answer is {token}, allowed are {allowed}")
            if len(allowed) > 1:
                slot_probs[state.n_copied] *= prob
            next_state, role = self.advance(state, token)
            tag_probs = list(probs[max(k - 1, 0) : k + 1])  # of the tag and the token before it
            if role is TokenRole.OPEN:
                start, opening_probs = state.n_copied, tag_probs
            elif role is TokenRole.TYPE:
                category_prob = float(prob)
            elif role is TokenRole.CLOSE:
                boundary_prob = float(np.mean([*opening_probs, *tag_probs]))
                span = Span(start, state.n_copied, state.open_type)
                entities.append(LlmEntity(span, category_prob, boundary_prob))
            state = next_state
        if partial and self.allowed_tokens(state):
            slot_probs[state.n_copied :] = np.nan
        elif self.allowed_tokens(state):
            raise ValueError(f"the answer stops after {state.n_copied} of {len(self.char_tokens)} characters")
        return LlmAnswer(tuple(entities), slot_probs, passes)
