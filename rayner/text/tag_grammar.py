"""The grammar of LLM answers. An answer is the copied text plus tags (method, section 4, "Draft and verify").

At each step the grammar allows only the next character, an opening tag, or the closing tag of the open entity. So an
answer without its tags is always the text. This module handles tokens as numbers: the caller that owns the tokenizer
passes the tokens of characters and tags.
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
    REST = "rest"  # a later token of one of the above


@dataclass(frozen=True)
class TagSpelling:
    """The tokens of `<`, `</`, `>` and each type's name. Two types must not have the same tokens."""

    open: TokenIds
    close: TokenIds
    end: TokenIds
    types: Mapping[str, TokenIds]


@dataclass(frozen=True, slots=True)
class GrammarState:
    """The state of the grammar after a part of an answer.

    n_copied: number of characters copied so far.
    open_type: type of the open entity; "" if none is open.
    forced_tokens: tokens that must follow.
    type_prefix: tokens of the type's name that already follow `<`; None if no type is being chosen.
    just_opened: whether an entity was just opened and has no character yet.
    """

    n_copied: int = 0
    open_type: str = ""
    forced_tokens: TokenIds = ()
    type_prefix: TokenIds | None = None
    just_opened: bool = False


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """One token of an answer.

    allowed: the tokens that the grammar allowed here.
    slot: number of characters copied before the token.
    role: what the token does.
    """

    token: int
    allowed: TokenIds
    slot: int
    role: TokenRole


class TagGrammar:
    """The grammar of the answers for one text.

    chars: tokens of each character, at least one.
    tags: tokens of the tags.

    Raises ValueError if a character has no tokens. Also raises ValueError if a character starts with the first token of
    a tag, because answers would be ambiguous.
    """

    def __init__(self, chars: Sequence[TokenIds], tags: TagSpelling) -> None:
        clash = {tags.open[0], tags.close[0]}
        for i, tokens in enumerate(chars):
            if not tokens or tokens[0] in clash:
                raise ValueError(f"character {i} is spelled {tokens}, which is nothing or starts like a tag")
        self.char_tokens, self.spelling = chars, tags
        self._types = {(*tokens, *tags.end): kind for kind, tokens in tags.types.items()}

    def max_answer_tokens(self) -> int:
        """Return the number of tokens of the longest answer: each character is an entity with the longest type name."""
        longest_name = max(map(len, self.spelling.types.values()), default=0)
        tag = len(self.spelling.open) + len(self.spelling.close) + 2 * (longest_name + len(self.spelling.end))
        return sum(map(len, self.char_tokens)) + tag * len(self.char_tokens)

    def allowed_tokens(self, state: GrammarState) -> TokenIds:
        """Return the tokens that may follow; an empty tuple once the answer is complete.

        If the next character may be copied, its token comes first.
        """
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
        """Return the state after an allowed token, and the token's role."""
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
        """Return the tokens of the answer that marks these entities, as a training target or a draft.

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

        span_by_start: each entity by the offset of its first character.
        span_ends: the slots at which entities end.
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

        tokens: tokens of the answer.
        probs: probability of each token.
        passes: number of forward passes that the answer took.
        partial: whether the answer may stop right after the first token of a character. Slots that it did not reach are
            NaN.

        The category probability is the product over the tokens of the type's name at which types still differ; it is 1
        if there is only one type. The boundary probability is the mean over the opening `<`, the closing `</`, and the
        token just before each of these two, if there is one (method, section 3). Tokens without an alternative do not
        count in `slot_probs`.
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
                start, category_prob, opening_probs = state.n_copied, 1.0, tag_probs
            elif state.type_prefix is not None and len(allowed) > 1:
                category_prob *= float(prob)
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
