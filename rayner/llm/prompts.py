"""The LLM's prompt as parts: instruction, retrieved examples, sentence (method, section 3).

Parts keep apart what a tokenizer may treat as prose (`PROSE`) from what must be spelled character by character
(`COPIED`) and from tags, so that no token straddles a character or a tag boundary.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import sort_and_check_spans


class PartSpelling(Enum):
    """How a part is turned into tokens."""

    PROSE = "literal"
    COPIED = "copied"
    OPEN_TAG = "open"
    CLOSE_TAG = "close"


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A piece of prompt: prose, text, or the type of a tag."""

    spelling: PartSpelling
    content: str


def build_instruction(types: Mapping[str, str]) -> str:
    """The task, for the types and their glosses (a gloss may be empty)."""
    named = "、".join(f"{kind}（{gloss}）" if gloss else kind for kind, gloss in types.items())
    return f"標注句中的實體：{named}。照抄原文，只加標籤。"


def build_tagged_parts(example: LabelledSentence) -> list[PromptPart]:
    """A sentence with its tags, as parts."""
    parts: list[PromptPart] = []
    end = 0
    for span in sort_and_check_spans(example.spans, len(example.text)):
        parts += [
            PromptPart(PartSpelling.COPIED, example.text[end : span.start]),
            PromptPart(PartSpelling.OPEN_TAG, span.type),
            PromptPart(PartSpelling.COPIED, example.text[span.start : span.end]),
            PromptPart(PartSpelling.CLOSE_TAG, span.type),
        ]
        end = span.end
    return [*parts, PromptPart(PartSpelling.COPIED, example.text[end:])]


def build_instruction_parts(task: str) -> list[PromptPart]:
    """The task in words, which begins every prompt; nothing without one."""
    return [PromptPart(PartSpelling.PROSE, f"{task}\n")] if task else []


def build_example_parts(examples: Sequence[LabelledSentence]) -> list[PromptPart]:
    """The examples, the most similar last, next to the sentence."""
    return [
        part
        for example in reversed(examples)
        for part in (*build_tagged_parts(example), PromptPart(PartSpelling.PROSE, "\n"))
    ]


def build_query_parts(text: str) -> list[PromptPart]:
    """The sentence, and what the answer follows on."""
    return [
        PromptPart(PartSpelling.PROSE, "句："),
        PromptPart(PartSpelling.COPIED, text),
        PromptPart(PartSpelling.PROSE, "\n答："),
    ]


def choose_fixed_examples(candidates: Iterable[LabelledSentence], count: int) -> list[LabelledSentence]:
    """The examples of the few-shot setting: the first sentences that add the most types not shown before."""
    pool, chosen, seen = list(candidates), list[LabelledSentence](), set[str]()
    for _ in range(min(count, len(pool))):
        best = max(pool, key=lambda e: len({s.type for s in e.spans} - seen))
        pool.remove(best)
        chosen.append(best)
        seen |= {span.type for span in best.spans}
    return chosen
