"""The decoding automaton: an answer is the text copied, plus tags (method, section 4, "Draft and verify").

At each step it names the tokens that are allowed: the next character, an opened type, the end of the open entity.
So every answer strips to its text, whatever the model says. It knows tokens as numbers only; how characters and
tags are spelled is given by the tokenizer's owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rayner.text.predictions import LlmAnswer, LlmSpan
from rayner.text.spans import Span, checked

Tokens = tuple[int, ...]


class Role(Enum):
    """What a token of the answer does."""

    COPY = "copy"  # first token of a character
    OPEN = "open"  # the `<` before a type
    TYPE = "type"  # first token that spells a type
    CLOSE = "close"  # the `</` after an entity
    REST = "rest"  # what had to follow one of these


@dataclass(frozen=True)
class TagSpelling:
    """Tokens of `<`, `</`, `>` and of each type's name. No type's tokens may be another's."""

    open: Tokens
    close: Tokens
    end: Tokens
    types: Mapping[str, Tokens]


@dataclass(frozen=True, slots=True)
class State:
    """Where an answer stands: `copied` characters, the open type ('' for none), tokens that must follow.

    choosing: the tokens that already spell the type after `<`, or None when no type is being chosen.
    fresh: an entity was just opened and holds no character yet.
    """

    copied: int = 0
    kind: str = ""
    queue: Tokens = ()
    choosing: Tokens | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer: what was allowed, how many characters stood before it, and what it does."""

    token: int
    allowed: Tokens
    slot: int
    role: Role


class Copier:
    """The automaton of one text.

    chars: the tokens of each character, none empty.
    Raises ValueError where a character starts like a tag, which would make answers ambiguous.
    """

    def __init__(self, chars: Sequence[Tokens], tags: TagSpelling) -> None:
        clash = {tags.open[0], tags.close[0]}
        for i, tokens in enumerate(chars):
            if not tokens or tokens[0] in clash:
                raise ValueError(f"character {i} is spelled {tokens}, which is nothing or starts like a tag")
        self.chars, self.tags = chars, tags
        self._types = {(*tokens, *tags.end): kind for kind, tokens in tags.types.items()}

    def allowed(self, state: State) -> Tokens:
        """The tokens that may follow, the first that of copying on; none once the answer is complete."""
        if state.queue:
            return state.queue[:1]
        if state.choosing is not None:
            n = len(state.choosing)
            return tuple(dict.fromkeys(t[n] for t in self._types if t[:n] == state.choosing))
        at_end = state.copied == len(self.chars)
        copy = () if at_end else self.chars[state.copied][:1]
        if state.fresh:
            return copy
        if state.kind:
            return (*copy, self.tags.close[0])
        return () if at_end else (*copy, self.tags.open[0])

    def advance(self, state: State, token: int) -> tuple[State, Role]:
        """The state after an allowed token, and what the token did."""
        if state.queue:
            return State(state.copied, state.kind, state.queue[1:], state.choosing), Role.REST
        if state.choosing is not None:
            spelled = (*state.choosing, token)
            role = Role.REST if state.choosing else Role.TYPE
            if spelled in self._types:
                return State(state.copied, self._types[spelled], fresh=True), role
            return State(state.copied, choosing=spelled), role
        if state.copied < len(self.chars) and token == self.chars[state.copied][0]:
            return State(state.copied + 1, state.kind, self.chars[state.copied][1:]), Role.COPY
        if state.kind:
            queue = (*self.tags.close[1:], *self.tags.types[state.kind], *self.tags.end)
            return State(state.copied, queue=queue), Role.CLOSE
        return State(state.copied, queue=self.tags.open[1:], choosing=()), Role.OPEN

    def spell(self, spans: Sequence[Span]) -> list[Step]:
        """The steps of the answer that carries these spans: what training teaches and what a draft proposes.

        Raises ValueError for a type that the tags cannot spell.
        """
        spans = checked(spans, len(self.chars))
        if unknown := {span.type for span in spans} - self.tags.types.keys():
            raise ValueError(f"no spelling for {sorted(unknown)}")
        begins, ends = {s.start: s for s in spans}, {s.end for s in spans}
        steps, state = list[Step](), State()
        while allowed := self.allowed(state):
            token = self._wanted(state, allowed, begins, ends)
            after, role = self.advance(state, token)
            steps.append(Step(token, allowed, state.copied, role))
            state = after
        return steps

    def _wanted(self, state: State, allowed: Tokens, begins: Mapping[int, Span], ends: set[int]) -> int:
        if len(allowed) == 1:
            return allowed[0]
        if state.choosing is not None:
            kind = begins[state.copied].type
            return (*self.tags.types[kind], *self.tags.end)[len(state.choosing)]
        tag_here = state.copied in ends if state.kind else state.copied in begins
        return allowed[-1] if tag_here else allowed[0]

    def read(
        self, tokens: Sequence[int], probs: Sequence[float], passes: int = 0, *, partial: bool = False
    ) -> LlmAnswer:
        """Entities and confidences of an answer, from the probability of each of its tokens.

        partial: the answer may stop right after the first token of a character; what it did not decide is NaN.

        Category: that of the first token that spells the type. Boundary: the mean over the opening `<`, the
        closing `</`, and the token just before each, where there is one (method, section 3).
        Tokens that had no alternative are no decisions: they do not count in `decisions`.
        Raises ValueError for a token that the automaton does not allow, or an answer that stops early.
        """
        decisions = np.ones(len(self.chars) + 1, dtype=np.float32)
        spans: list[LlmSpan] = []
        state, start, category, opening = State(), -1, 0.0, list[float]()
        for k, (token, prob) in enumerate(zip(tokens, probs, strict=True)):
            allowed = self.allowed(state)
            if token not in allowed:
                raise ValueError(f"token {k} of the answer is {token}, allowed are {allowed}")
            if len(allowed) > 1:
                decisions[state.copied] *= prob
            after, role = self.advance(state, token)
            around = list(probs[max(k - 1, 0) : k + 1])
            if role is Role.OPEN:
                start, opening = state.copied, around
            elif role is Role.TYPE:
                category = float(prob)
            elif role is Role.CLOSE:
                boundary = float(np.mean([*opening, *around]))
                spans.append(LlmSpan(Span(start, state.copied, state.kind), category, boundary))
            state = after
        if partial and self.allowed(state):
            decisions[state.copied :] = np.nan
        elif self.allowed(state):
            raise ValueError(f"the answer stops after {state.copied} of {len(self.chars)} characters")
        return LlmAnswer(tuple(spans), decisions, passes)
