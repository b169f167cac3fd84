"""What the tag grammar allows next in an answer that another engine decodes token by token."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.decoding.drafting import reaches_stop_slot
from rayner.text.tag_grammar import GrammarState, TagGrammar, TokenIds


class GrammarMatcher:
    """Follows one answer as it grows.

    stop_mask: [n_chars + 1] slots beyond which the answer is not needed (`gate.stop_mask`); None asks for all of it.
    """

    def __init__(self, grammar: TagGrammar, stop_mask: npt.NDArray[np.bool_] | None = None) -> None:
        self.grammar, self.stop_mask = grammar, stop_mask
        self._restart()

    def _restart(self) -> None:
        self._state, self._n_read, self._is_complete = GrammarState(), 0, False

    def allowed_tokens(self, answer: Sequence[int]) -> TokenIds:
        """Return the tokens that may follow the answer; none where it is complete.

        An answer no shorter than the one of the last call must begin with it. A shorter one is read from its start: an
        engine that ran out of memory begins an answer again.
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
