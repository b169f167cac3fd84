"""The LLM's answers to texts of any length.

A long text is split into windows, each window gets examples and an answer, and the answers are joined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.decoding.engine import AnswerEngine, WindowRequest
from rayner.llm.retrieval import ExampleRetriever
from rayner.text.hints import HintEntity, crop_hint
from rayner.text.predictions import LlmAnswer, join_window_answers
from rayner.text.segmentation import Window, split_windows
from rayner.text.spans import Span, crop_spans


@dataclass(frozen=True)
class TextRequest:
    """A text of any length for the LLM to answer.

    Attributes:
        text: The text.
        draft: See `WindowRequest`.
        stop_mask: See `WindowRequest`. It is not used for a text of several windows.
        texts_sharing_examples: The neighbouring texts that share examples, including this text. If empty, each window
            of the text has its own examples.
        candidates: See `WindowRequest`. One that lies in no window is not scored.
        hint: See `WindowRequest`.

    """

    text: str
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None
    texts_sharing_examples: tuple[str, ...] = ()
    candidates: Sequence[Span] | None = None
    hint: Sequence[HintEntity] | None = None


def answer_texts(
    engine: AnswerEngine,
    requests: Sequence[TextRequest],
    *,
    retriever: ExampleRetriever,
    max_chars: int,
    overlap: int,
    known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> list[LlmAnswer]:
    """Return the LLM's answer to each request, in the order of the requests.

    Args:
        engine: The engine.
        requests: The requests.
        retriever: Finds the examples of prompts.
        max_chars: The largest number of characters in a window.
        overlap: The number of characters that neighbouring windows share.
        known_vectors: {text: sentence vector} of texts that the retriever's encoder need not encode again.

    """
    windows_of_texts = [split_windows(len(request.text), max_chars, overlap) for request in requests]
    parts = [
        (request, window, len(windows) > 1)
        for request, windows in zip(requests, windows_of_texts, strict=True)
        for window in windows
    ]
    texts = [request.text[window.start : window.end] for request, window, _ in parts]
    groups = [request.texts_sharing_examples or (text,) for (request, _, _), text in zip(parts, texts, strict=True)]
    distinct_groups = list(dict.fromkeys(groups))
    examples = dict(zip(distinct_groups, retriever.find_shared_examples(distinct_groups, known_vectors), strict=True))
    window_requests = [
        WindowRequest(
            text,
            examples[group],
            crop_spans(request.draft, window.start, window.end),
            # The mask of the whole text does not fit a window, because only a part of a window's answer is kept.
            None if is_split else request.stop_mask,
            _crop_candidates(request.candidates, window),
            hint=None if request.hint is None else crop_hint(request.hint, window.start, window.end),
        )
        for (request, window, is_split), text, group in zip(parts, texts, groups, strict=True)
    ]
    answers = iter(engine.answer_requests(window_requests))
    return [join_window_answers([next(answers) for _ in windows], windows) for windows in windows_of_texts]


def _crop_candidates(candidates: Sequence[Span] | None, window: Window) -> Sequence[Span] | None:
    """Return the candidates that lie in a window and begin where the window's answer is kept."""
    if candidates is None:
        return None
    kept = [span for span in candidates if window.keep_start <= span.start < window.keep_end]
    return crop_spans(kept, window.start, window.end)
