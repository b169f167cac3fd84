"""Drafts: guesses at the rest of an answer, verified by the LLM in one forward pass (method, "Draft and verify").

The draft does not change the answer, because only tokens that the LLM itself chooses are kept. A good draft only saves
forward passes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, GrammarState, TagGrammar, TokenIds, TokenRole

_NEW_ENTITY_CHARS = 2  # assumed length of an entity that only the LLM opens: most names have two characters


def draft_answer_tokens(
    grammar: TagGrammar,
    spans: Sequence[Span],
    state: GrammarState | None = None,
    stop_mask: npt.NDArray[np.bool_] | None = None,
) -> list[AnswerToken]:
    """Draft the rest of an answer from a grammar state on, with the given entities wherever the grammar allows them.

    Args:
        grammar: The grammar of the text's answers.
        spans: The entities, in order and without overlaps. Those of types that the grammar cannot spell are ignored.
        state: The state to start from; None for the start of the answer.
        stop_mask: Whether decoding may stop at each slot (position between two characters), shape
            [n_chars + 1]. See `gate.stop_mask`. None drafts to the end.

    """
    spans = [span for span in spans if span.type in grammar.spelling.types]
    span_by_start = {span.start: span for span in spans}
    span_by_char = {i: span for span in spans for i in range(span.start, span.end)}
    steps: list[AnswerToken] = []
    state = state or GrammarState()
    while allowed := grammar.allowed_tokens(state):
        token = allowed[0]
        if len(allowed) > 1:
            token = _draft_token(grammar, state, allowed, span_by_start, span_by_char)
        next_state, role = grammar.advance(state, token)
        steps.append(AnswerToken(token, allowed, state.n_copied, role))
        if stop_mask is not None and reaches_stop_slot(state, role, stop_mask):
            break
        state = next_state
    return steps


def reaches_stop_slot(state: GrammarState, role: TokenRole, stop_mask: npt.NDArray[np.bool_]) -> bool:
    """Return whether a step makes the last choice at a stop slot, so that the rest of the answer is not needed.

    The last choice at a slot (position between two characters) is to copy the next character. Decoding does not stop
    there if an entity that began at an earlier slot is still open.

    Args:
        state: The grammar state before the step.
        role: What the token of the step does.
        stop_mask: Whether decoding may stop at each slot, shape [n_chars + 1].

    """
    is_outside = state.just_opened or not state.open_type
    return role is TokenRole.COPY and bool(stop_mask[state.n_copied]) and is_outside


def _draft_token(
    grammar: TagGrammar,
    state: GrammarState,
    allowed: TokenIds,
    span_by_start: Mapping[int, Span],
    span_by_char: Mapping[int, Span],
) -> int:
    """Choose, of several allowed tokens, the one that fits the draft's entities."""
    slot = state.n_copied
    if state.type_prefix is not None:
        nearby = span_by_char.get(slot) or span_by_char.get(slot + 1) or span_by_char.get(slot - 1)
        type_tokens = (*grammar.spelling.types[nearby.type], *grammar.spelling.end) if nearby else ()
        n_spelled = len(state.type_prefix)
        if type_tokens[:n_spelled] == state.type_prefix and len(type_tokens) > n_spelled:
            return type_tokens[n_spelled]
        return allowed[0]
    if state.open_type:
        # An entity that is not in the draft closes where the draft's entity at this slot ends; without one, at once.
        inside = span_by_char.get(slot - 1) or span_by_char.get(slot)
        return allowed[0] if inside and inside.end > slot else allowed[-1]
    return allowed[-1] if slot in span_by_start else allowed[0]


def revise_draft(
    grammar: TagGrammar, spans: Sequence[Span], steps: Sequence[AnswerToken], chosen_tokens: Sequence[int]
) -> list[Span]:
    """Correct the draft's entities by the LLM's choice at each step of the draft.

    The choices after the first difference are not the LLM's answer, because the LLM made them on a draft that it
    rejected. But they are a better guess than the draft.

    Args:
        grammar: The grammar of the text's answers.
        spans: The draft's entities.
        steps: The draft as tokens.
        chosen_tokens: The LLM's choice at each step, given the draft up to that step, shape [n_steps].

    """
    spans, n_chars = list(spans), len(grammar.char_tokens)
    type_start = 0  # number of the step at which the latest name of a type begins
    for k, (step, token) in enumerate(zip(steps, chosen_tokens, strict=True)):
        type_start = k if step.role is TokenRole.TYPE else type_start
        if token == step.token:
            continue
        slot = step.slot
        if step.role is TokenRole.TYPE or (step.role is TokenRole.REST and len(step.allowed) > 1):
            types = _types_that_begin_with(grammar, [*(each.token for each in steps[type_start:k]), token])
            spans = [Span(s.start, s.end, types[0]) if s.start == slot and types else s for s in spans]
        elif step.role is TokenRole.OPEN:  # the LLM opens no entity here
            spans = [s for s in spans if s.start != slot]
        elif step.role is TokenRole.CLOSE:  # the LLM lets the entity go on
            spans = [Span(s.start, min(slot + 1, n_chars), s.type) if s.end == slot else s for s in spans]
        elif any(s.start < slot < s.end for s in spans):  # the LLM closes the entity here
            spans = [Span(s.start, slot, s.type) if s.start < slot < s.end else s for s in spans]
        elif step.role is TokenRole.COPY:  # the LLM opens an entity here
            nearest = min(spans, key=lambda s: abs(s.start - slot), default=None)
            type_ = nearest.type if nearest else next(iter(grammar.spelling.types))
            spans.append(Span(slot, min(slot + _NEW_ENTITY_CHARS, n_chars), type_))
    return _cut_overlaps(spans)


def _types_that_begin_with(grammar: TagGrammar, tokens: Sequence[int]) -> list[str]:
    """Return the types whose name, with the `>` after it, begins with these tokens."""
    end, n = grammar.spelling.end, len(tokens)
    return [type_ for type_, name in grammar.spelling.types.items() if (*name, *end)[:n] == tuple(tokens)]


def _cut_overlaps(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in order; a span that overlaps the next one ends where the next one begins."""
    ordered = sorted({span.start: span for span in spans}.values())
    cut_spans = []
    for span, next_span in zip(ordered, [*ordered[1:], None], strict=False):
        end = span.end if next_span is None else min(span.end, next_span.start)
        if span.start < end:
            cut_spans.append(Span(span.start, end, span.type))
    return cut_spans
