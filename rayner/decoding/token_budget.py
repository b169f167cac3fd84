"""Plan which answers are computed at the same time, so that their key-value caches fit a budget of tokens.

The budget covers all caches of the LLM that exist at a time: those of the instruction, of examples that several prompts
share, of started answers, and of the running batch with its padding. Of the tokens that instruction and shared examples
leave, one half is for the running batch and the other for the started answers.

For each answer the longest one that the grammar allows is reserved, so a started answer can always be finished. The
plan depends on the lengths and the budget alone, never on free memory.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# As in `rayner.runs.progress`, whose import needs more packages than decoding does.
log = logging.getLogger("rayner")

NO_TOKEN_LIMIT = sys.maxsize
_SHARED_EXAMPLES_SHARE = 4  # shared examples may take one token in so many


@dataclass(frozen=True)
class AnswerNeed:
    """The tokens that one answer needs besides the instruction.

    Attributes:
        examples: The tokens of the examples in its prompt.
        own: The tokens of the rest of its prompt and of its longest possible answer.
        sharing: The number of the examples if other prompts have the same; None if no other has them.

    """

    examples: int
    own: int
    sharing: int | None = None

    @property
    def total(self) -> int:
        """The tokens of the examples, the rest of the prompt and the longest possible answer."""
        return self.examples + self.own

    def tokens_if_alone(self, instruction: int) -> int:
        """Return the tokens in memory while the answer is computed alone.

        They are the instruction's cache, the batch, which begins with a copy of it, and the cache cut out of the batch.
        """
        return 2 * (instruction + self.total)


@dataclass(frozen=True)
class Round:
    """Answers that are computed at the same time.

    Attributes:
        answers: The indices of the answers.
        shared_examples: The numbers of the examples that are computed once for all of the answers.
        half: The most tokens of a batch, and of all started answers. An answer that is alone may need more.

    """

    answers: tuple[int, ...]
    shared_examples: tuple[int, ...]
    half: int


def plan_rounds(instruction: int, needs: Sequence[AnswerNeed], budget: int) -> list[Round]:
    """Divide answers into rounds. Each answer is in one round, and the rounds are computed one after the other.

    If the shared examples of all answers fit, there is one round. An answer that needs too much for a batch is in a
    round of its own, in which it shares nothing.

    Args:
        instruction: The tokens of the instruction, whose cache is always held.
        needs: The need of each answer.
        budget: The most tokens at a time.

    """
    room = max(0, budget - instruction)
    shared_share = room // _SHARED_EXAMPLES_SHARE
    answer_share = (room - shared_share) // 2
    fitting = [i for i, need in enumerate(needs) if instruction + need.total <= answer_share]
    alone = set(range(len(needs))) - set(fitting)
    sizes = {needs[i].sharing: needs[i].examples for i in fitting if needs[i].examples <= shared_share}
    groups: dict[int | None, list[int]] = {None: []}
    for i in fitting:
        sharing = needs[i].sharing if needs[i].sharing in sizes else None
        groups.setdefault(sharing, []).append(i)
    rounds: list[Round] = []
    for numbers in _pack([number for number in groups if number is not None], sizes, shared_share):
        members = [i for number in numbers for i in groups[number]] + ([] if rounds else groups[None])
        if members:
            held = sum(sizes[number] for number in numbers)
            rounds.append(Round(tuple(sorted(members)), tuple(numbers), (room - held) // 2))
    return [*rounds, *(Round((i,), (), room // 2) for i in sorted(alone))]


def warn_of_oversized(tokens: Sequence[int], budget: int) -> int:
    """Log how many answers exceed the budget although each is computed alone, and return their number.

    Args:
        tokens: The tokens in memory while an answer is computed alone, for each answer.
        budget: The most tokens at a time.

    """
    oversized = [count for count in tokens if count > budget]
    if oversized:
        log.warning(
            "score.llm.batch_tokens: %d of %d texts need more than the %d tokens, up to %d; each was answered alone",
            len(oversized), len(tokens), budget, max(oversized),
        )  # fmt: skip
    return len(oversized)


def _pack(numbers: Sequence[int], sizes: dict[int | None, int], max_total: int) -> list[list[int]]:
    """Divide numbers, in order, into lists with at most `max_total` in sizes. There is at least one list."""
    packed: list[list[int]] = [[]]
    total = 0
    for number in numbers:
        if packed[-1] and total + sizes[number] > max_total:
            packed.append([])
            total = 0
        packed[-1].append(number)
        total += sizes[number]
    return packed
