"""One answer of the draft-and-verify engine: its draft, the tokens that the LLM confirmed, and its key-value cache.

If candidates are to be scored, the complete answer is followed by drafts that hold them. They continue the cached
prompt, so each costs the tokens of an answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rayner.decoding.drafting import draft_answer_tokens, reaches_stop_slot, revise_draft
from rayner.decoding.kv_cache import CacheParts, count_cached_tokens
from rayner.text.candidate_scores import (
    CandidateDraft,
    plan_candidate_drafts,
    read_candidate_scores,
    spell_candidate_draft,
)
from rayner.text.predictions import CandidateScore, LlmAnswer
from rayner.text.spans import Span
from rayner.text.tag_grammar import AnswerToken, GrammarState, TagGrammar, TokenRole


@dataclass
class DraftedAnswer:
    """An answer that is being drafted and verified.

    Attributes:
        grammar: The grammar of the text's answers.
        softmax_over: See `make_engine`.
        pending: Tokens that the model must read before the draft.
        draft: The entities that the rest of the answer is drafted from.
        stop_mask: See `WindowRequest`.
        candidates: See `WindowRequest`.
        prefix_cache: The cache of the beginning that the prompt shares with other prompts.
        own_cache: The cache of the other tokens.
        reserved_tokens: The most tokens that `own_cache` may ever hold.
        state: The grammar state after the confirmed tokens.
        steps: The draft as tokens.
        tokens: The confirmed tokens.
        probs: The probability of each confirmed token.
        passes: The number of forward passes so far.
        is_complete: Whether the answer is complete, with the scores of the candidates.
        prompt: The tokens of the prompt that `own_cache` holds after the first forward pass.
        candidate_drafts: The drafts from which candidates are scored, without those that were read; None until the
            answer itself is complete.
        scores: The scores of candidates so far.

    """

    grammar: TagGrammar
    softmax_over: str
    pending: list[int]
    draft: Sequence[Span]
    stop_mask: npt.NDArray[np.bool_] | None
    candidates: Sequence[Span] | None = None
    prefix_cache: CacheParts = ()
    own_cache: CacheParts = ()
    reserved_tokens: int = field(init=False)
    state: GrammarState = field(default_factory=GrammarState)
    steps: list[AnswerToken] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)
    passes: int = 0
    is_complete: bool = False
    prompt: list[int] = field(init=False)
    candidate_drafts: list[CandidateDraft] | None = None
    scores: list[CandidateScore] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reserved_tokens = len(self.pending) + self.grammar.max_answer_tokens()
        self.prompt = self.pending

    @property
    def cache(self) -> CacheParts:
        """The whole key-value cache of the answer."""
        return (*self.prefix_cache, *self.own_cache)

    @property
    def next_tokens(self) -> list[int]:
        """The tokens that the next forward pass reads. Verifying the draft does not need its last token as input."""
        return [*self.pending, *(step.token for step in self.steps[:-1])]

    @property
    def n_next_tokens(self) -> int:
        """The number of tokens that the next forward pass reads."""
        return len(self.pending) + len(self.steps) - 1

    @property
    def is_scoring(self) -> bool:
        """Whether the draft holds candidates to score, and is not verified."""
        return self.candidate_drafts is not None

    def draft_rest_or_complete(self) -> None:
        """Draft the rest of the answer. If the LLM has no choice in the rest, accept it without a forward pass."""
        self.steps = draft_answer_tokens(self.grammar, self.draft, self.state, self.stop_mask)
        self.is_complete = not self.steps
        if self.steps and not self.step_numbers_to_verify():
            self.accept_and_count_valid_cached((), (), ())

    def step_numbers_to_verify(self) -> list[int]:
        """Return the numbers of the steps that need the LLM's logits.

        These are the steps with more than one allowed token. If probabilities are over the whole vocabulary, they are
        also the steps whose probabilities the confidences are computed from.
        """
        steps = self.steps
        if self.is_scoring or self.softmax_over == "allowed":  # if only one token is allowed, its probability is 1
            return [k for k, step in enumerate(steps) if len(step.allowed) > 1]
        is_choice = [len(step.allowed) > 1 or step.role is TokenRole.CLOSE for step in steps]
        # The next step may open or close a tag. The probability of the token before a tag counts for the boundary.
        is_before_choice = [*is_choice[1:], False]
        return [k for k in range(len(steps)) if is_choice[k] or is_before_choice[k]]

    def accept_and_count_valid_cached(
        self, verified_step_numbers: Sequence[int], chosen_tokens: Sequence[int], chosen_probs: Sequence[float]
    ) -> int:
        """Keep the draft up to the first step where the LLM differs, take the LLM's token there, and draft the rest.

        Args:
            verified_step_numbers: The step numbers that `step_numbers_to_verify` returned.
            chosen_tokens: The LLM's choice at each of these steps.
            chosen_probs: The probability of each choice.

        Returns:
            The number of tokens whose entries in `own_cache` remain valid after the forward pass.

        """
        n_cached = count_cached_tokens(self.own_cache) + len(self.pending)
        tokens = [step.token for step in self.steps]
        probs = [1.0] * len(tokens)
        for k, token, prob in zip(verified_step_numbers, chosen_tokens, chosen_probs, strict=True):
            tokens[k], probs[k] = token, prob
        last_kept = next((k for k in verified_step_numbers if tokens[k] != self.steps[k].token), len(tokens) - 1)
        self.tokens += tokens[: last_kept + 1]
        self.probs += probs[: last_kept + 1]
        for token in tokens[: last_kept + 1]:
            previous = self.state
            self.state, role = self.grammar.advance(previous, token)
            if self.stop_mask is not None and reaches_stop_slot(previous, role, self.stop_mask):
                self.is_complete = True
        self.is_complete = self.is_complete or not self.grammar.allowed_tokens(self.state)
        if not self.is_complete:
            self.draft = revise_draft(self.grammar, self.draft, self.steps, tokens)
            self.pending = self.tokens[-1:]
            self.draft_rest_or_complete()
        if self.is_complete and self.candidates is not None and not self.is_scoring:
            types = self.grammar.spelling.types
            self.candidate_drafts = plan_candidate_drafts(self._read_answer().spans, self.candidates, types)
            self._draft_candidates()
        return self._n_cached_for_candidates if self.is_scoring else n_cached + last_kept

    def read_scores_and_count_valid_cached(self, step_numbers: Sequence[int], log_odds: Sequence[float]) -> int:
        """Read the scores of the draft's candidates, and draft those that are left.

        Args:
            step_numbers: The step numbers that `step_numbers_to_verify` returned.
            log_odds: The log-odds of the draft's token at each of these steps against the other allowed tokens.

        Returns:
            As `accept_and_count_valid_cached`.

        """
        drafts = self.candidate_drafts or []
        draft, self.candidate_drafts = drafts[0], drafts[1:]
        odds_by_step = dict(zip(step_numbers, log_odds, strict=True))
        odds = [odds_by_step.get(k, math.inf) for k in range(len(self.steps))]
        self.scores += read_candidate_scores(self.steps, odds, draft.candidates)
        self._draft_candidates()
        return self._n_cached_for_candidates

    def _draft_candidates(self) -> None:
        """Draft the next candidates behind the prompt; the answer is complete if there are none."""
        self.is_complete = not self.candidate_drafts
        if self.candidate_drafts:
            self.steps = spell_candidate_draft(self.grammar, self.candidate_drafts[0])
            self.pending = self.prompt[-1:]

    @property
    def _n_cached_for_candidates(self) -> int:
        """The prompt without its last token, which is read again for the choice that follows it."""
        return len(self.prompt) - 1

    def to_llm_answer(self) -> LlmAnswer:
        """Return the entities and confidences of the confirmed tokens, with the scores of candidates."""
        scores = None if self.candidates is None else tuple(sorted(self.scores, key=lambda score: score.span))
        return replace(self._read_answer(), candidate_scores=scores)

    def _read_answer(self) -> LlmAnswer:
        return self.grammar.read_answer(self.tokens, self.probs, self.passes, partial=self.stop_mask is not None)
