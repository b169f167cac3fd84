"""The tokens that the tag grammar allows next, for engines that decode token by token."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.decoding.drafting import reaches_stop_slot
from rayner.text.tag_grammar import GrammarState, TagGrammar, TokenIds


class GrammarMatcher:
    """Follows one answer while it grows.

    stop_mask: whether decoding may stop at each slot (position between two characters), shape [n_chars + 1].
    See `gate.stop_mask`. None decodes the whole answer.
    """

    def __init__(self, grammar: TagGrammar, stop_mask: npt.NDArray[np.bool_] | None = None) -> None:
        self.grammar, self.stop_mask = grammar, stop_mask
        self._restart()

    def _restart(self) -> None:
        self._state, self._n_read, self._is_complete = GrammarState(), 0, False

    def allowed_tokens(self, answer: Sequence[int]) -> TokenIds:
        """Return the tokens that may follow the answer; none if it is complete.

        Normally the answer continues the answer of the last call. An answer shorter than that is read from its start
        again, because an engine that ran out of memory may restart an answer.
        """
        if len(answer) < self._n_read:
            self._restart()
        for token in answer[self._n_read :]:
            previous = self._state
            self._state, role = self.grammar.advance(previous, token)
            if self.stop_mask is not None and reaches_stop_slot(previous, role, self.stop_mask):
                self._is_complete = True
        self._n_read = len(answer)
        return () if self._is_complete else self.grammar.allowed_tokens(self._state)
