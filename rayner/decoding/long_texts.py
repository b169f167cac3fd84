"""The LLM's answers on texts of any length: windows, their examples, decoding, stitching."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.decoding.draft_verify import WindowRequest
from rayner.llm.retrieval import ExampleRetriever
from rayner.text.predictions import LlmAnswer, join_window_answers
from rayner.text.segmentation import split_windows
from rayner.text.spans import Span, crop_spans

Answerer = Callable[[Sequence[WindowRequest]], list[LlmAnswer]]


@dataclass(frozen=True)
class TextRequest:
    """A text for the LLM.

    spans: the draft. quiet: slots at which no more of the answer is needed; None asks for all of it.
    group: the neighbouring texts, itself among them, that share its examples; empty if it has its own.
    """

    text: str
    draft: Sequence[Span] = ()
    stop_mask: npt.NDArray[np.bool_] | None = None
    example_group: tuple[str, ...] = ()


def answer_texts(
    answer: Answerer,
    questions: Sequence[TextRequest],
    *,
    retriever: ExampleRetriever,
    size: int,
    overlap: int,
    known_vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> list[LlmAnswer]:
    """The LLM's answer to each question, in their order.

    size, overlap: windows of longer texts, characters; each has examples of its own unless a group shares them.
    known: vectors of texts, as the retriever's encoder makes them, where there are any.
    """
    cuts = [split_windows(len(question.text), size, overlap) for question in questions]
    tasks: list[WindowRequest] = []
    groups: list[tuple[str, ...]] = []
    for question, cut in zip(questions, cuts, strict=True):
        for window in cut:
            text = question.text[window.start : window.end]
            # A quiet slot of the whole text says nothing of a window, whose answer is kept in part only.
            quiet = question.stop_mask if len(cut) == 1 else None
            tasks.append(WindowRequest(text, (), crop_spans(question.draft, window.start, window.end), quiet))
            groups.append(question.example_group or (text,))
    distinct = list(dict.fromkeys(groups))
    shown = dict(zip(distinct, retriever.find_group_examples(distinct, known_vectors), strict=True))
    found = iter(answer([replace(task, examples=shown[group]) for task, group in zip(tasks, groups, strict=True)]))
    return [join_window_answers([next(found) for _ in cut], cut) for cut in cuts]
