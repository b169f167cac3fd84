"""Drafts: a guess at the rest of an answer, which the LLM then verifies in one pass (method, "Draft and verify").

Whatever the draft, what is accepted is the LLM's own choice at every step; a good draft only saves passes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, GrammarState, TagGrammar, TokenIds, TokenRole

_LENGTH = 2  # of an entity that the LLM wants to open where the draft has none: most names have two characters


def draft_steps(
    copier: TagGrammar,
    spans: Sequence[Span],
    state: GrammarState | None = None,
    quiet: npt.NDArray[np.bool_] | None = None,
) -> list[AnswerToken]:
    """The steps of an answer from a state on, following the spans wherever the state lets them be followed.

    spans: any spans of the text in order, without overlaps; of types that cannot be spelled none is drafted.
    quiet: [n + 1] slots at which no more is needed (`gate.stop_mask`); None drafts to the end.
    """
    spans = [span for span in spans if span.type in copier.spelling.types]
    begins = {span.start: span for span in spans}
    over = {i: span for span in spans for i in range(span.start, span.end)}
    steps: list[AnswerToken] = []
    state = state or GrammarState()
    while allowed := copier.allowed_tokens(state):
        token = allowed[0] if len(allowed) == 1 else _draft_token(copier, state, allowed, begins, over)
        after, role = copier.advance(state, token)
        steps.append(AnswerToken(token, allowed, state.n_copied, role))
        if quiet is not None and reaches_stop_slot(state, role, quiet):
            break
        state = after
    return steps


def reaches_stop_slot(state: GrammarState, role: TokenRole, quiet: npt.NDArray[np.bool_]) -> bool:
    """Whether a step taken from a state completes the decisions of a quiet slot, so that no more need be read."""
    return role is TokenRole.COPY and bool(quiet[state.n_copied]) and (state.just_opened or not state.open_type)


def _draft_token(
    copier: TagGrammar, state: GrammarState, allowed: TokenIds, begins: Mapping[int, Span], over: Mapping[int, Span]
) -> int:
    at = state.n_copied
    if state.type_prefix is not None:
        near = over.get(at) or over.get(at + 1) or over.get(at - 1)
        spelled = (*copier.spelling.types[near.type], *copier.spelling.end) if near else ()
        done = len(state.type_prefix)
        return spelled[done] if spelled[:done] == state.type_prefix and len(spelled) > done else allowed[0]
    if state.open_type:
        # An entity that the draft does not hold ends where the draft's next one does, or at once.
        inside = over.get(at - 1) or over.get(at)
        return allowed[0] if inside and inside.end > at else allowed[-1]
    return allowed[-1] if at in begins else allowed[0]


def revise_draft(
    copier: TagGrammar, spans: Sequence[Span], steps: Sequence[AnswerToken], chosen: Sequence[int]
) -> list[Span]:
    """The draft's spans, corrected by what the LLM would have chosen at each of its steps.

    chosen: the LLM's token at each step, given the draft before it. Behind the first difference these are no longer
    the LLM's answer, but they guess it better than the draft did.
    """
    spans = list(spans)
    for step, token in zip(steps, chosen, strict=True):
        if token == step.token:
            continue
        at = step.slot
        if step.role is TokenRole.TYPE:
            kinds = [kind for kind, tokens in copier.spelling.types.items() if tokens[0] == token]
            spans = [Span(s.start, s.end, kinds[0]) if s.start == at and kinds else s for s in spans]
        elif step.role is TokenRole.OPEN:  # it copies on
            spans = [s for s in spans if s.start != at]
        elif step.role is TokenRole.CLOSE:  # the entity goes on
            spans = [Span(s.start, min(at + 1, len(copier.char_tokens)), s.type) if s.end == at else s for s in spans]
        elif any(s.start < at < s.end for s in spans):  # it closes here
            spans = [Span(s.start, at, s.type) if s.start < at < s.end else s for s in spans]
        elif step.role is TokenRole.COPY:  # it opens here
            near = min(spans, key=lambda s: abs(s.start - at), default=None)
            kind = near.type if near else next(iter(copier.spelling.types))
            spans.append(Span(at, min(at + _LENGTH, len(copier.char_tokens)), kind))
    return _cut_overlaps(spans)


def _cut_overlaps(spans: Sequence[Span]) -> list[Span]:
    """The spans in order, each cut where the next begins."""
    ordered = sorted({span.start: span for span in spans}.values())
    cut = []
    for span, after in zip(ordered, [*ordered[1:], None], strict=False):
        end = span.end if after is None else min(span.end, after.start)
        if span.start < end:
            cut.append(Span(span.start, end, span.type))
    return cut
