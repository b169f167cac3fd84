"""The paper's rule: each character gets its tag from the more confident model (method, section 4).

The comparison is that of `region_rule`, with H and P of a single character. The tags of neighbouring characters may
come from different models, so the sequence of tags can be illegal. It is then repaired, and the repairs are counted
(`tags.tags_to_spans`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rayner.fusion import gate
from rayner.fusion.fused_entities import FusedEntity, build_fused_entity, slm_entities
from rayner.fusion.fusion_rule import FittingSample, RuleFit
from rayner.fusion.region_rule import slm_wins
from rayner.fusion.weight_search import choose_middle_of_best_weights, f1_from_counts
from rayner.text.json_records import record_from_json
from rayner.text.predictions import LlmAnswer, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from rayner.text.tags import OUTSIDE, DecodedTags, spans_to_tags, split_tag, tags_to_spans


@dataclass(frozen=True, slots=True)
class TagConflict:
    """A character to which the two models give different tags.

    index: offset of the character.
    entropy: H, the SLM's entropy at the character, nats.
    llm_prob: P. It is the category probability of the LLM's entity if the types differ or the SLM has no entity there,
        its boundary probability if only the extent differs, and `slot_probs` at the character if the LLM has no entity
        there.
    """

    index: int
    llm_tag: str
    entropy: float
    llm_prob: float


@dataclass(frozen=True, slots=True)
class CharacterRule:
    """The rule by characters.

    weight: lambda.
    """

    name: ClassVar[str] = "characters"

    weight: float

    def fit(self, sample: FittingSample) -> RuleFit:
        """Choose lambda by the F1 of the repaired output."""
        f1 = compute_character_f1_curve(sample.segments, sample.weights)
        return RuleFit(replace(self, weight=choose_middle_of_best_weights(sample.weights, f1)[0]))

    def decide(self, segment: SegmentPrediction) -> list[FusedEntity]:
        """Return the fused entities of a segment, in text order (`fuse`)."""
        return self.fuse(segment.slm, segment.llm)

    def fuse(self, slm: SlmPrediction, llm: LlmAnswer | None) -> list[FusedEntity]:
        """Return the fused entities of a text, in text order; the SLM's if there is no LLM answer.

        The LLM's answer is read only up to the slot (position between two characters) behind which it cannot change a
        tag. An answer that stops at this slot gives the same entities, with the same fields, as a whole answer. An
        entity that neither model predicted exists only because of the LLM's tags, so its `decided_by` is `llm`.
        Raises ValueError for an answer that stops before this slot.
        """
        end = self._first_stop_slot(slm, llm)
        if llm is None or end == 0:
            return slm_entities(slm)
        votes = [entity for entity in llm.entities if entity.span.end <= end]
        slm_spans, llm_spans = set(slm.spans), {entity.span for entity in votes}
        entities = []
        for span in self._fuse_tags_before(slm, llm, end).spans:
            if span.start >= end:
                entities.append(build_fused_entity(span, "slm", slm, None))
                continue
            decided_by = "llm" if span not in slm_spans else "agree" if span in llm_spans else "slm"
            entities.append(build_fused_entity(span, decided_by, slm, votes))
        return entities

    def fuse_tags(self, slm: SlmPrediction, llm: LlmAnswer | None) -> DecodedTags:
        """Return the spans of the fused tags, and the number of repairs.

        Raises ValueError for an answer that stops too early (`fuse`).
        """
        end = self._first_stop_slot(slm, llm)
        return DecodedTags(slm.spans) if llm is None or end == 0 else self._fuse_tags_before(slm, llm, end)

    def _fuse_tags_before(self, slm: SlmPrediction, llm: LlmAnswer, end: int) -> DecodedTags:
        """Return the spans of the tags that are fused before the slot `end`, and of the SLM's tags behind it."""
        tags, conflicts = find_tag_conflicts(slm, llm, end)
        for conflict in conflicts:
            if not slm_wins(conflict.entropy, conflict.llm_prob, self.weight):
                tags[conflict.index] = conflict.llm_tag
        return tags_to_spans(tags)

    def _first_stop_slot(self, slm: SlmPrediction, llm: LlmAnswer | None) -> int:
        """Return the slot at which reading of an LLM answer stops. Raises ValueError if the answer stops before it."""
        if llm is None:
            return 0
        end = gate.first_slot_outside_spans(self.stop_mask(slm), llm.spans)
        if end:
            gate.require_known_up_to(llm, end)
        return end

    def decide_all(self, segments: Sequence[SegmentPrediction]) -> list[list[FusedEntity]]:
        """Decide each segment by itself."""
        return [self.decide(segment) for segment in segments]

    def could_change(self, segment: SegmentPrediction) -> bool:
        """Say whether some LLM answer could change a tag (`gate.first_slot_behind_losable`)."""
        return gate.first_slot_behind_losable(self.block_entropy(segment.slm), self.weight) > 0

    def stop_mask(self, slm: SlmPrediction) -> npt.NDArray[np.bool_]:
        """Return the slots at which decoding may stop, shape [n_chars + 1].

        They are all slots behind the last character that the SLM could lose. A slot inside an SLM entity is among them,
        because every character is decided by itself.
        """
        first = gate.first_slot_behind_losable(self.block_entropy(slm), self.weight)
        mask: npt.NDArray[np.bool_] = np.arange(len(slm.entropy) + 1) >= first
        return mask

    def block_entropy(self, slm: SlmPrediction) -> npt.NDArray[np.float64]:
        """Return the entropy of each character, shape [n_chars], nats. Every character is a block of its own."""
        return slm.entropy.astype(np.float64)

    def hold_out_tags_of(self, segment: SegmentPrediction, sample: FittingSample) -> "CharacterRule":
        """Return the rule itself, because it stores no tags of single sentences."""
        return self

    def summary(self) -> dict[str, Any]:
        """Describe the rule by its name and lambda."""
        return {"kind": self.name, **self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """Return lambda by field name."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "CharacterRule":
        """Build the rule from what `to_json` returned. Raises RecordError for anything else."""
        return record_from_json(cls, tree)


def find_tag_conflicts(slm: SlmPrediction, llm: LlmAnswer, end: int) -> tuple[list[str], list[TagConflict]]:
    """Return the SLM's tags of a text, and the characters before the slot `end` to which the LLM gives other tags.

    end: a slot (position between two characters) up to which the answer is known. It is inside no entity of the LLM.
    """
    tags = spans_to_tags(slm.spans, len(slm.entropy))
    entities = [entity for entity in llm.entities if entity.span.end <= end]
    llm_tags = spans_to_tags([entity.span for entity in entities], end)
    entity_by_char = {i: entity for entity in entities for i in range(entity.span.start, entity.span.end)}
    conflicts = []
    for i in range(end):
        if tags[i] == llm_tags[i]:
            continue
        if llm_tags[i] == OUTSIDE:
            llm_prob = float(llm.slot_probs[i])
        else:
            entity = entity_by_char[i]
            only_extent_differs = split_tag(tags[i])[1] == entity.span.type
            llm_prob = entity.boundary_prob if only_extent_differs else entity.category_prob
        conflicts.append(TagConflict(i, llm_tags[i], float(slm.entropy[i]), llm_prob))
    return tags, conflicts


def compute_character_f1_curve(
    segments: Sequence[SegmentPrediction], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the strict entity micro F1 of the repaired output at each lambda, shape [n_weights].

    segments: labelled segments that both models answered.
    weights: values of lambda, rising.

    The counts of entities are not sums over characters, because characters form entities together. But the LLM wins a
    character at all lambdas from some lambda on. So the output of a segment changes only at these lambdas, and is
    decoded once for each.

    Raises ValueError for a segment without an LLM answer.
    """
    lambdas = weights.tolist()
    changes = np.zeros((len(lambdas) + 1, 2), dtype=np.int64)  # of right and of predicted entities, at each lambda
    for segment in segments:
        if segment.llm is None:
            raise ValueError(f"{segment.doc_id} [{segment.start}, {segment.end}) has no LLM answer to tune on")
        gold = set(segment.gold)
        tags, conflicts = find_tag_conflicts(segment.slm, segment.llm, len(segment.slm.entropy))
        counts = _count_right_and_predicted(segment.slm.spans, gold)
        changes[0] += counts
        first_won = sorted((_first_weight_won_by_llm(conflict, lambdas), conflict.index) for conflict in conflicts)
        llm_tags = {conflict.index: conflict.llm_tag for conflict in conflicts}
        for i, won in groupby(first_won, key=lambda pair: pair[0]):
            for _, index in won:
                tags[index] = llm_tags[index]
            new_counts = _count_right_and_predicted(tags_to_spans(tags).spans, gold)
            changes[i] += new_counts - counts
            counts = new_counts
    n_gold = sum(len(segment.gold) for segment in segments)
    totals = changes[:-1].cumsum(axis=0)
    return f1_from_counts(totals[:, 0], totals[:, 1], n_gold)


def _first_weight_won_by_llm(conflict: TagConflict, weights: Sequence[float]) -> int:
    """Return the index of the first lambda at which the LLM wins; the number of lambdas if it never wins."""
    return bisect_left(weights, True, key=lambda weight: not slm_wins(conflict.entropy, conflict.llm_prob, weight))


def _count_right_and_predicted(spans: Iterable[Span], gold: set[Span]) -> npt.NDArray[np.int64]:
    distinct = set(spans)
    return np.array([len(distinct & gold), len(distinct)], dtype=np.int64)
