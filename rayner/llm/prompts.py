"""The LLM's prompt as parts: instruction, retrieved examples, sentence (method, section 3).

Parts keep apart what a tokenizer may treat as prose (`LITERAL`) from what must be spelled character by character
(`COPIED`) and from tags, so that no token straddles a character or a tag boundary.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from rayner.text.labelled import Example
from rayner.text.spans import checked


class Kind(Enum):
    """How a part is turned into tokens."""

    LITERAL = "literal"
    COPIED = "copied"
    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of prompt: prose, text, or the type of a tag."""

    kind: Kind
    value: str


def instruction(types: Mapping[str, str]) -> str:
    """The task, for the types and their glosses (a gloss may be empty)."""
    named = "、".join(f"{kind}（{gloss}）" if gloss else kind for kind, gloss in types.items())
    return f"標注句中的實體：{named}。照抄原文，只加標籤。"


def tagged(example: Example) -> list[Part]:
    """A sentence with its tags, as parts."""
    parts: list[Part] = []
    end = 0
    for span in checked(example.spans, len(example.text)):
        parts += [
            Part(Kind.COPIED, example.text[end : span.start]),
            Part(Kind.OPEN, span.type),
            Part(Kind.COPIED, example.text[span.start : span.end]),
            Part(Kind.CLOSE, span.type),
        ]
        end = span.end
    return [*parts, Part(Kind.COPIED, example.text[end:])]


def opening(task: str) -> list[Part]:
    """The task in words, which begins every prompt; nothing without one."""
    return [Part(Kind.LITERAL, f"{task}\n")] if task else []


def shown(examples: Sequence[Example]) -> list[Part]:
    """The examples, the most similar last, next to the sentence."""
    return [part for example in reversed(examples) for part in (*tagged(example), Part(Kind.LITERAL, "\n"))]


def asked(text: str) -> list[Part]:
    """The sentence, and what the answer follows on."""
    return [Part(Kind.LITERAL, "句："), Part(Kind.COPIED, text), Part(Kind.LITERAL, "\n答：")]


def fixed_examples(candidates: Iterable[Example], count: int) -> list[Example]:
    """The examples of the few-shot setting: the first sentences that add the most types not shown before."""
    pool, chosen, seen = list(candidates), list[Example](), set[str]()
    for _ in range(min(count, len(pool))):
        best = max(pool, key=lambda e: len({s.type for s in e.spans} - seen))
        pool.remove(best)
        chosen.append(best)
        seen |= {span.type for span in best.spans}
    return chosen
