"""The paper's own fusion, character by character, for comparison.

Its output can be illegal, and the faults are counted.
"""

from rayner.fusion.region_rule import slm_wins
from rayner.text.predictions import LlmAnswer, SlmPrediction
from rayner.text.tags import OUTSIDE, DecodedTags, spans_to_tags, split_tag, tags_to_spans


def fuse_by_characters(slm: SlmPrediction, llm: LlmAnswer, weight: float) -> DecodedTags:
    """Take each character's tag from the more confident model.

    weight: lambda (method, section 4).
    """
    n_chars = len(slm.entropy)
    tags, llm_tags = spans_to_tags(slm.spans, n_chars), spans_to_tags(llm.spans, n_chars)
    for i in range(n_chars):
        if tags[i] == llm_tags[i]:
            continue
        llm_prob = float(llm.slot_probs[i])
        if llm_tags[i] != OUTSIDE:
            entity = next(entity for entity in llm.entities if entity.span.start <= i < entity.span.end)
            only_extent_differs = split_tag(tags[i])[1] == entity.span.type
            llm_prob = entity.boundary_prob if only_extent_differs else entity.category_prob
        if not slm_wins(float(slm.entropy[i]), llm_prob, weight):
            tags[i] = llm_tags[i]
    return tags_to_spans(tags)
