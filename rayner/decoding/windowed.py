"""The LLM's answers on texts of any length: windows, their examples, decoding, stitching."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.decoding.draft_verify import Task
from rayner.llm.retrieval import Retriever
from rayner.text.predictions import LlmAnswer, joined
from rayner.text.segmentation import windows
from rayner.text.spans import Span, within

Answerer = Callable[[Sequence[Task]], list[LlmAnswer]]


@dataclass(frozen=True)
class Question:
    """A text for the LLM.

    spans: the draft. quiet: slots at which no more of the answer is needed; None asks for all of it.
    group: the neighbouring texts, itself among them, that share its examples; empty if it has its own.
    """

    text: str
    spans: Sequence[Span] = ()
    quiet: npt.NDArray[np.bool_] | None = None
    group: tuple[str, ...] = ()


def answers(
    answer: Answerer,
    questions: Sequence[Question],
    *,
    retriever: Retriever,
    size: int,
    overlap: int,
    known: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> list[LlmAnswer]:
    """The LLM's answer to each question, in their order.

    size, overlap: windows of longer texts, characters; each has examples of its own unless a group shares them.
    known: vectors of texts, as the retriever's encoder makes them, where there are any.
    """
    cuts = [windows(len(question.text), size, overlap) for question in questions]
    tasks: list[Task] = []
    groups: list[tuple[str, ...]] = []
    for question, cut in zip(questions, cuts, strict=True):
        for window in cut:
            text = question.text[window.start : window.end]
            # A quiet slot of the whole text says nothing of a window, whose answer is kept in part only.
            quiet = question.quiet if len(cut) == 1 else None
            tasks.append(Task(text, (), within(question.spans, window.start, window.end), quiet))
            groups.append(question.group or (text,))
    distinct = list(dict.fromkeys(groups))
    shown = dict(zip(distinct, retriever.shared(distinct, known), strict=True))
    found = iter(answer([replace(task, examples=shown[group]) for task, group in zip(tasks, groups, strict=True)]))
    return [joined([next(found) for _ in cut], cut) for cut in cuts]
