"""The comparison of fusion rules: the candidates, and their decisions on sentences that they were not fitted on.

Reductions and the LLM confidence (`conflict_regions`) are compared on all held-out sentences. Lambda, the learned
rule's weights and users' rules are fitted again without each part of the sentences, and then judged on that part. So
`held_out_f1` of the rule by regions is slightly optimistic: its reductions were chosen on all sentences.
"""

from collections.abc import Mapping, Sequence

from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.custom_rule import CustomRule, FittedCustomRule
from rayner.fusion.fused_entities import FusedEntity
from rayner.fusion.fusion_rule import FittingSample, FusionRule
from rayner.fusion.learned.document_rule import DocumentRule
from rayner.fusion.learned.span_rule import SpanRule
from rayner.fusion.region_rule import RegionRule
from rayner.text.passages import assign_fold_by_text, group_indices_by_document


def list_rule_candidates(
    sample: FittingSample,
    *,
    entropy_reductions: Sequence[str],
    llm_reductions: Sequence[str],
    llm_confidences: Sequence[str],
    custom_rules: Mapping[str, CustomRule],
    by_documents: bool = False,
) -> list[FusionRule]:
    """Return the unfitted rules that the search compares.

    These are one rule by regions for every combination of the options, the rules by characters and by spans, the one by
    documents if it is asked for, and users' own rules.
    """
    learned = SpanRule.unfitted(sample.types, sample.lexicon)
    return [
        CharacterRule(0.0),
        *(
            RegionRule(0.0, entropy_reduction, llm_reduction, llm_confidence)
            for entropy_reduction in entropy_reductions
            for llm_reduction in llm_reductions
            for llm_confidence in llm_confidences
        ),
        learned,
        *([DocumentRule(learned)] if by_documents else []),
        *(FittedCustomRule(name, functions, sample.types) for name, functions in custom_rules.items()),
    ]


def decide_held_out(rule: FusionRule, sample: FittingSample, *, folds: int, seed: int) -> list[list[FusedEntity]]:
    """Return the entities of each segment, decided by a rule that was fitted on the segments of the other folds.

    Only what `rule.fit` fits differs between folds: a `RegionRule` keeps its reductions. The sentences of a passage and
    all copies of a text are in the same fold. With fewer than two distinct texts, the rule is fitted on the segment
    that it decides.
    """
    segments = sample.segments
    fold_by_text = assign_fold_by_text(segments, folds, seed)
    entities: list[list[FusedEntity]] = [[] for _ in segments]
    for fold in sorted(set(fold_by_text.values())):
        others = [segment for segment in segments if fold_by_text[segment.text] != fold]
        fitted = rule.fit(sample.with_segments(others or segments)).rule
        in_fold = [i for i, segment in enumerate(segments) if fold_by_text[segment.text] == fold]
        for group in group_indices_by_document([segments[i] for i in in_fold]):
            document = [segments[in_fold[k]] for k in group]
            decided = fitted.hold_out_tags_of(document[0], sample).decide_all(document)
            for k, own_entities in zip(group, decided, strict=True):
                entities[in_fold[k]] = own_entities
    return entities
