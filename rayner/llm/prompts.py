"""The LLM's prompt as parts: instruction, examples, the sentence to tag, and a hint (method, section 3).

There are three sorts of parts: prose, which the tokenizer may split freely; text, which is tokenized character by
character; and tags. The sorts are kept apart, so no token crosses the boundary of a character or a tag.

A hint is the sentence as the small model tagged it. It stands in the place of the sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from rayner.text.hints import HintEntity
from rayner.text.labelled_text import LabelledSentence
from rayner.text.spans import sort_and_check_spans

# To be raised when other sentences are chosen: an LLM must be asked with the examples that it was trained on.
FIXED_EXAMPLES_VERSION = 2  # 2: sentences of usual length that are rich in entities


class PartSpelling(Enum):
    """How a part of a prompt is turned into tokens."""

    PROSE = "prose"  # as the tokenizer splits it
    COPIED = "copied"  # character by character, with `<` and `&` escaped
    OPEN_TAG = "open_tag"  # `<`, the type, `>`
    CLOSE_TAG = "close_tag"  # `</`, the type, `>`


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A part of a prompt. content: the prose, the text, or the type of the tag."""

    spelling: PartSpelling
    content: str


_ANSWER_FOLLOWS = PromptPart(PartSpelling.PROSE, "\n答：")
_CERTAIN = 10  # tenths


def build_instruction(type_glosses: Mapping[str, str]) -> str:
    """Return the instruction, which states the task in words.

    type_glosses: {entity type: its meaning}; the meaning may be empty.
    """
    types = "、".join(f"{type_}（{gloss}）" if gloss else type_ for type_, gloss in type_glosses.items())
    return f"標注句中的實體：{types}。照抄原文，只加標籤。"


def build_instruction_parts(instruction: str) -> list[PromptPart]:
    """Return the parts that start every prompt; none if the instruction is empty."""
    return [PromptPart(PartSpelling.PROSE, f"{instruction}\n")] if instruction else []


def build_tagged_parts(sentence: LabelledSentence) -> list[PromptPart]:
    """Return the parts of a sentence with tags around its entities."""
    parts: list[PromptPart] = []
    end = 0
    for span in sort_and_check_spans(sentence.spans, len(sentence.text)):
        parts += [
            PromptPart(PartSpelling.COPIED, sentence.text[end : span.start]),
            PromptPart(PartSpelling.OPEN_TAG, span.type),
            PromptPart(PartSpelling.COPIED, sentence.text[span.start : span.end]),
            PromptPart(PartSpelling.CLOSE_TAG, span.type),
        ]
        end = span.end
    return [*parts, PromptPart(PartSpelling.COPIED, sentence.text[end:])]


def build_example_parts_nearest_last(examples: Sequence[LabelledSentence]) -> list[PromptPart]:
    """Return the parts of the examples, with the most similar example last, next to the sentence to tag.

    examples: the examples, the most similar first, as retrieval returns them.
    """
    return [
        part
        for example in reversed(examples)
        for part in (*build_tagged_parts(example), PromptPart(PartSpelling.PROSE, "\n"))
    ]


def build_query_parts(text: str) -> list[PromptPart]:
    """Return the parts of the sentence to tag, and of the words that introduce it and the answer."""
    return [PromptPart(PartSpelling.PROSE, "句："), PromptPart(PartSpelling.COPIED, text), _ANSWER_FOLLOWS]


def build_hinted_query_parts(text: str, hint: Sequence[HintEntity], *, with_confidence: bool) -> list[PromptPart]:
    """Return the parts of the sentence to tag, as the small model tagged it, and of the words around it.

    Args:
        text: The sentence.
        hint: The small model's entities, in order.
        with_confidence: Whether the confidence follows each entity, in percent, rounded to tens. 100% is not written.

    """
    parts = [PromptPart(PartSpelling.PROSE, "初標：")]
    tenths = iter([round(10 * entity.confidence) for entity in hint])
    for part in build_tagged_parts(LabelledSentence(text, tuple(entity.span for entity in hint))):
        parts.append(part)
        if with_confidence and part.spelling is PartSpelling.CLOSE_TAG and (tenth := next(tenths)) < _CERTAIN:
            parts.append(PromptPart(PartSpelling.PROSE, f"（{10 * tenth}%）"))
    return [*parts, _ANSWER_FOLLOWS]


def choose_examples_covering_types(candidates: Iterable[LabelledSentence], count: int) -> list[LabelledSentence]:
    """Choose the examples of the few-shot setting: sentences of usual length, rich in entities, that cover all types.

    Repeatedly take the best sentence. A sentence that has a type not yet shown is better than one that has none. Then a
    sentence is better if it is no longer than the mean sentence with an entity, has more of the types not yet shown,
    has more entities, is shorter, and comes earlier. Once all types are shown, cover them again. So a sentence without
    an entity is taken only if no other is left.
    """
    remaining, chosen, shown_types = list(candidates), list[LabelledSentence](), set[str]()
    lengths = [len(sentence.text) for sentence in remaining if sentence.spans]
    mean_length = sum(lengths) / max(1, len(lengths))

    def rank(sentence: LabelledSentence) -> tuple[bool, bool, int, int, int]:
        n_new, n_chars = len(_types_of(sentence) - shown_types), len(sentence.text)
        return n_new > 0, n_chars <= mean_length, n_new, len(sentence.spans), -n_chars

    for _ in range(min(count, len(remaining))):
        if set().union(*map(_types_of, remaining)) <= shown_types:
            shown_types = set()
        best = max(remaining, key=rank)
        remaining.remove(best)
        chosen.append(best)
        shown_types |= _types_of(best)
    return chosen


def _types_of(sentence: LabelledSentence) -> set[str]:
    return {span.type for span in sentence.spans}
