"""The LLM's log-odds of candidate spans, whether it predicted them or not (method, "Scores of candidates").

A candidate is read from a drafted answer that holds it: what probability does the LLM give to each choice that writes
the candidate? Candidates that overlap cannot be in one answer, so they are divided among several drafted answers.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rayner.text.predictions import CandidateScore
from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, TagGrammar, TokenRole

# To be raised when the same LLM gives other scores: scores of both kinds must not be mixed.
CANDIDATE_SCORES_VERSION = 1
MAX_DRAFTS = 8  # bounds the cost where a small model is unsure of everything
CERTAIN = 30.0  # log-odds of what has no alternative; higher ones are cut to it


@dataclass(frozen=True)
class CandidateDraft:
    """A drafted answer from which candidates are scored.

    entities: all entities of the drafted answer, in text order.
    candidates: those of them that are scored here.
    """

    entities: tuple[Span, ...]
    candidates: tuple[Span, ...]


def plan_candidate_drafts(
    answer_spans: Sequence[Span], candidates: Sequence[Span], types: Collection[str]
) -> list[CandidateDraft]:
    """Divide candidates among drafted answers, so that no two in a draft overlap.

    Each candidate is in the first draft where it overlaps none that came before it. The first draft holds all entities
    of the LLM's own answer. A later draft also holds those of them that overlap none of its candidates, so that the LLM
    reads what it wrote itself wherever possible.

    Args:
        answer_spans: The entities of the LLM's own answer. They are candidates too.
        candidates: The other candidates, the important ones first. A candidate that overlaps others in all of
            `MAX_DRAFTS` drafts is not scored.
        types: The types that the LLM can spell. Candidates of other types are not scored.

    """
    groups: list[list[Span]] = []
    for span in dict.fromkeys((*answer_spans, *(span for span in candidates if span.type in types))):
        group = next((group for group in groups if not _overlaps_any(span, group)), None)
        if group is not None:
            group.append(span)
        elif len(groups) < MAX_DRAFTS:
            groups.append([span])
    return [
        CandidateDraft(
            tuple(sorted({*group, *(span for span in answer_spans if not _overlaps_any(span, group))})),
            tuple(sorted(group)),
        )
        for group in groups
    ]


def _overlaps_any(span: Span, others: Collection[Span]) -> bool:
    return any(span.overlaps(other) for other in others)


def spell_candidate_draft(grammar: TagGrammar, draft: CandidateDraft) -> list[AnswerToken]:
    """Return the tokens of a drafted answer up to the end of its last candidate."""
    steps = grammar.spell_answer(draft.entities)
    end = draft.candidates[-1].end
    last = next(k for k, step in enumerate(steps) if step.role is TokenRole.CLOSE and step.slot == end)
    return steps[: last + 1]


def read_candidate_scores(
    steps: Sequence[AnswerToken], log_odds: Sequence[float], candidates: Collection[Span]
) -> list[CandidateScore]:
    """Read the scores of candidates from a drafted answer.

    Args:
        steps: The tokens that `spell_candidate_draft` returned.
        log_odds: The log-odds of each token against the other tokens that the grammar allows there, shape [n_steps];
            infinity where it allows no other.
        candidates: The entities of the draft that are scored.

    Returns:
        The scores, in text order.

    """
    candidate_by_start = {span.start: span for span in candidates}
    scores: list[CandidateScore] = []
    span, opening, category, going_on = None, CERTAIN, list[float](), list[float]()
    for step, value in zip(steps, log_odds, strict=True):
        if step.role is TokenRole.OPEN:
            span, opening, category, going_on = candidate_by_start.get(step.slot), value, [], []
        elif span is None or (len(step.allowed) == 1 and step.role is not TokenRole.CLOSE):
            continue
        elif step.role is TokenRole.CLOSE:
            odds = [combine_log_odds(choices) for choices in ([opening], category, going_on, [value])]
            scores.append(CandidateScore(span, *odds))
            span = None
        elif step.role is TokenRole.COPY:
            going_on.append(value)
        else:
            category.append(value)
    return scores


def combine_log_odds(log_odds: Sequence[float]) -> float:
    """Return the log-odds that all of several choices are made, in [-CERTAIN, CERTAIN]; NaN if one of them is NaN.

    log_odds: the log-odds of each choice, given those before it, natural log.
    """
    log_prob = -sum(max(-value, 0.0) + math.log1p(math.exp(-abs(value))) for value in log_odds)
    if math.isnan(log_prob):
        return math.nan
    if log_prob > -math.exp(-CERTAIN):
        return CERTAIN
    return max(-CERTAIN, log_prob - math.log(-math.expm1(log_prob)))
