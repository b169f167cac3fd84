"""The LLM's answers on texts of any length: split into windows, find examples, answer, stitch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rayner.decoding.engine import AnswerEngine, WindowRequest
from rayner.llm.retrieval import ExampleRetriever
from rayner.text.predictions import LlmAnswer, join_window_answers
from rayner.text.segmentation import split_windows
from rayner.text.spans import Span, crop_spans


@dataclass(frozen=True)
class TextRequest:
    """A text of any length to be answered.

    draft, stop_mask: see `WindowRequest`. example_group: the neighbouring texts, this one among them, that share
    examples; empty where the text, or each window of it, has examples of its own.
    """

    text: str
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None
    texts_sharing_examples: tuple[str, ...] = ()


def answer_texts(
    engine: AnswerEngine,
    requests: Sequence[TextRequest],
    *,
    retriever: ExampleRetriever,
    max_chars: int,
    overlap: int,
    known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> list[LlmAnswer]:
    """Return the LLM's answer to each request, in their order.

    max_chars, overlap: windows of longer texts, in characters. known_vectors: by text, sentence vectors that the
    retriever's encoder need not compute again.
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
            # A slot of the whole text says nothing about a window, of whose answer only a part is kept.
            None if is_split else request.stop_mask,
        )
        for (request, window, is_split), text, group in zip(parts, texts, groups, strict=True)
    ]
    answers = iter(engine.answer_requests(window_requests))
    return [join_window_answers([next(answers) for _ in windows], windows) for windows in windows_of_texts]
