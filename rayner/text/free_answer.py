"""Read answers that the LLM generated freely: tags, alignment with the text, and probabilities (method, section 3).

Without the tag grammar an answer may change the text and hold tags that do not exist. So its characters are aligned
with the text afterwards, and what does not fit is counted (`FreeAnswerFaults`).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rayner.text.alignment import Alignment, align_copy
from rayner.text.predictions import FreeAnswerFaults, LlmAnswer, LlmEntity
from rayner.text.spans import Span

_MAX_UNKNOWN_TYPE_CHARS = 16  # a longer name between `<` and `>` is text


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """An answer as the LLM wrote it.

    markup: the text of the answer, with tags.
    token_starts: for each token, the offset in `markup` of the first character that it spells. Tokens that spell one
        character together have the same offset. The offsets never fall.
    token_probs: the probability of each token.
    end_prob: the probability of the end token; None if the answer reached the limit of its length.
    """

    markup: str
    token_starts: Sequence[int]
    token_probs: Sequence[float]
    end_prob: float | None


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag of a type that exists.

    start: its offset in the markup.
    slot: number of characters of the copy before it.
    """

    start: int
    slot: int
    type: str
    is_closing: bool


@dataclass(frozen=True, slots=True)
class _ParsedAnswer:
    """The parts of an answer.

    copy: the answer without tags.
    char_ends: for each character of the copy, the offset after its last character in the markup.
    unknown_tags: number of tags of types that do not exist.
    """

    copy: str
    char_ends: Sequence[int]
    tags: Sequence[_Tag]
    unknown_tags: int


def read_free_answer(text: str, generated: GeneratedAnswer, types: Collection[str]) -> LlmAnswer:
    """Read entities and probabilities from an answer that was generated freely.

    types: the types that exist.

    An entity is kept if its characters stand in the place of a contiguous part of the text (`align_copy`) and at least
    half of them are copied. Of nested entities, the outermost is kept.

    The category probability is the product over the tokens of the type's name before which several types are possible.
    The boundary probability is the mean over the first token of each tag and the token just before it. The probability
    at a slot is the product over the tokens after the character before it, up to the character after it. It is 0 before
    a character in whose place the LLM wrote nothing, and at the last slot if the answer reached the limit of its
    length.
    """
    parsed = _parse(generated.markup, text, types)
    alignment = align_copy(text, parsed.copy)
    pairs, tag_faults = _pair_tags(parsed.tags)
    entities = []
    for opening, closing in pairs:
        span = _place_entity(opening, closing, alignment, text, parsed.copy)
        if span is not None:
            category_prob = _multiply_category(opening, generated, types)
            entities.append(LlmEntity(span, category_prob, _average_boundary(opening, closing, generated)))
    faults = replace(
        tag_faults,
        answers=1,
        changed=int(not alignment.is_exact),
        inserted=alignment.inserted,
        deleted=alignment.deleted,
        replaced=alignment.replaced,
        unknown_tags=parsed.unknown_tags,
        not_aligned=len(pairs) - len(entities),
        cut_off=int(generated.end_prob is None),
    )
    slot_probs = _multiply_slot_probs(len(text), generated, parsed, alignment)
    return LlmAnswer(tuple(entities), slot_probs, len(generated.token_probs), faults)


def _parse(markup: str, text: str, types: Collection[str]) -> _ParsedAnswer:
    """Separate the tags of an answer from its copy of the text. A `<` or `&` that begins no tag or escape is text.

    White space at an end of the answer is left out, unless the text has white space there.
    """
    names = "|".join([*map(re.escape, types), rf"[^<>/&\s]{{1,{_MAX_UNKNOWN_TYPE_CHARS}}}"])
    pieces = rf"<(?P<slash>/?)(?P<type>{names})>|&(?P<escape>lt|amp);|(?P<char>.)"
    chars: list[str] = []
    char_ends: list[int] = []
    tags: list[_Tag] = []
    unknown_tags = 0
    for match in re.finditer(pieces, markup, re.DOTALL):
        if match["type"] is None:
            chars.append(match["char"] or {"lt": "<", "amp": "&"}[match["escape"]])
            char_ends.append(match.end())
        elif match["type"] in types:
            tags.append(_Tag(match.start(), len(chars), match["type"], bool(match["slash"])))
        else:
            unknown_tags += 1
    copy = "".join(chars)
    first = 0 if text[:1].isspace() else len(copy) - len(copy.lstrip())
    end = len(copy) if text[-1:].isspace() else max(first, len(copy.rstrip()))
    tags = [replace(tag, slot=min(max(tag.slot, first), end) - first) for tag in tags]
    return _ParsedAnswer(copy[first:end], char_ends[first:end], tags, unknown_tags)


def _pair_tags(tags: Sequence[_Tag]) -> tuple[list[tuple[_Tag, _Tag]], FreeAnswerFaults]:
    """Pair each closing tag with the last open tag of its type. Tags that were opened after that one stay unclosed.

    Returns the opening and the closing tag of each entity that has a character and is in no other entity, in order. The
    faults count the other tags and entities.
    """
    pairs: list[tuple[_Tag, _Tag]] = []
    open_tags: list[_Tag] = []
    unclosed = unopened = 0
    for tag in tags:
        if not tag.is_closing:
            open_tags.append(tag)
            continue
        depth = max((i for i, other in enumerate(open_tags) if other.type == tag.type), default=None)
        if depth is None:
            unopened += 1
            continue
        pairs.append((open_tags[depth], tag))
        unclosed += len(open_tags) - depth - 1
        del open_tags[depth:]
    outermost: list[tuple[_Tag, _Tag]] = []
    for opening, closing in sorted(pairs, key=lambda pair: pair[0].start):
        if not outermost or opening.start > outermost[-1][1].start:
            outermost.append((opening, closing))
    filled = [(opening, closing) for opening, closing in outermost if opening.slot < closing.slot]
    faults = FreeAnswerFaults(
        unclosed_tags=unclosed + len(open_tags),
        unopened_tags=unopened,
        nested=len(pairs) - len(outermost),
        empty=len(outermost) - len(filled),
    )
    return filled, faults


def _place_entity(opening: _Tag, closing: _Tag, alignment: Alignment, text: str, copy: str) -> Span | None:
    """Return the entity in the text; None if it stands in the place of no contiguous part, or of quite other text."""
    offsets = alignment.offsets[opening.slot : closing.slot]
    first = offsets[0]
    if first is None or offsets != tuple(range(first, first + len(offsets))):
        return None
    copied = sum(text[first + i] == copy[opening.slot + i] for i in range(len(offsets)))
    return Span(first, first + len(offsets), opening.type) if 2 * copied >= len(offsets) else None


def _number_of_token_at(offset: int, generated: GeneratedAnswer) -> int:
    """Return the number of the first token that spells the character at an offset of the markup."""
    starts = generated.token_starts
    return bisect_left(starts, starts[bisect_right(starts, offset) - 1])


def _multiply_category(opening: _Tag, generated: GeneratedAnswer, types: Collection[str]) -> float:
    """Return the category probability of an entity. The token that holds the `>` counts if types still differ there."""
    name_start = opening.start + 1
    name_end = name_start + len(opening.type)
    product = 1.0
    for k in range(_number_of_token_at(name_start, generated), bisect_right(generated.token_starts, name_end)):
        written = opening.type[: max(0, generated.token_starts[k] - name_start)]
        if sum(type_.startswith(written) for type_ in types) > 1:
            product *= generated.token_probs[k]
    return product


def _average_boundary(opening: _Tag, closing: _Tag, generated: GeneratedAnswer) -> float:
    """Return the mean over the first token of each tag and the token just before it, if there is one."""
    numbers = [_number_of_token_at(tag.start, generated) for tag in (opening, closing)]
    return float(np.mean([generated.token_probs[k] for number in numbers for k in (number - 1, number) if k >= 0]))


def _multiply_slot_probs(
    n_chars: int, generated: GeneratedAnswer, parsed: _ParsedAnswer, alignment: Alignment
) -> npt.NDArray[np.float32]:
    """Return the probability at each slot, shape [n_chars + 1] (see `read_free_answer`)."""
    aligned = [
        (end, offset) for end, offset in zip(parsed.char_ends, alignment.offsets, strict=True) if offset is not None
    ]
    ends, slots = [end for end, _ in aligned], [*(offset for _, offset in aligned), n_chars]
    products = np.zeros(n_chars + 1)
    products[slots] = 1.0
    for start, prob in zip(generated.token_starts, generated.token_probs, strict=True):
        products[slots[bisect_right(ends, start)]] *= prob
    products[n_chars] *= 0.0 if generated.end_prob is None else generated.end_prob
    return products.astype(np.float32)
