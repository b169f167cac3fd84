"""The LLM's answers on texts of any length: windows, their examples, decoding, stitching."""

from collections.abc import Sequence

from rayner.models.decode import answer
from rayner.models.llm import Llm
from rayner.models.retrieval import Retriever
from rayner.ner.scores import LlmAnswer, joined
from rayner.ner.segment import windows


def answers(
    llm: Llm,
    texts: Sequence[str],
    *,
    retriever: Retriever,
    probability: str,
    size: int,
    overlap: int,
    batch_size: int,
) -> list[LlmAnswer]:
    """The LLM's answer on each text, in their order.

    size, overlap: windows of longer texts, characters; each window has examples of its own.
    """
    cuts = [windows(len(text), size, overlap) for text in texts]
    parts = [text[window.start : window.end] for text, cut in zip(texts, cuts, strict=True) for window in cut]
    found = iter(answer(llm, parts, retriever.examples(parts), probability=probability, batch_size=batch_size))
    return [joined([next(found) for _ in cut], cut) for cut in cuts]
