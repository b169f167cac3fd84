"""An answer that grows elsewhere, token by token, and what the automaton allows next: for engines that decode alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rayner.decoding.drafting import reaches_stop_slot
from rayner.text.tag_grammar import GrammarState, TagGrammar, TokenIds


class GrammarMatcher:
    """Follows one answer. quiet: [n + 1] slots at which no more is needed (`gate.stop_mask`); None asks for all."""

    def __init__(self, copier: TagGrammar, quiet: npt.NDArray[np.bool_] | None = None) -> None:
        self.copier, self.quiet = copier, quiet
        self._restart()

    def _restart(self) -> None:
        self._state, self._seen, self._done = GrammarState(), 0, False

    def allowed_tokens(self, answer: Sequence[int]) -> TokenIds:
        """The tokens that may follow the answer; none where it is complete.

        An answer as long as the one seen last, or longer, goes on from that one; a shorter one is read anew (an engine
        that ran out of memory begins again).
        """
        if len(answer) < self._seen:
            self._restart()
        for token in answer[self._seen :]:
            before = self._state
            self._state, role = self.copier.advance(before, token)
            self._done = self._done or (self.quiet is not None and reaches_stop_slot(before, role, self.quiet))
        self._seen = len(answer)
        return () if self._done else self.copier.allowed_tokens(self._state)
