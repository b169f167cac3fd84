"""Scores of tagged text against gold: of a fusion and its two models, or of one file against another.

Intervals are 95% percentile bootstraps over sentences. `metrics` defines every number.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain

from rayner.errors import DataError
from rayner.evaluation.artifact import ErrorCounts, Evaluation, FileEvaluation, SeenAndUnseenScores, SystemScores
from rayner.evaluation.conflicts import judge_conflicts, select_disagreements, summarize_conflicts
from rayner.evaluation.confusion import OUTCOMES, count_confusions
from rayner.evaluation.metrics import (
    EntityCounts,
    IntervalScore,
    TokenScores,
    bootstrap_f1_interval,
    count_entities,
    f1_difference_with_bootstrap_interval,
    macro_f1,
    micro_score,
    score_by_type,
    score_token_classes,
)
from rayner.evaluation.seen_names import SeenNames
from rayner.fusion.artifact import BUILT_IN_RULES, LoadedRules
from rayner.fusion.control import give_empty_answer, with_empty_answer
from rayner.fusion.fusion_rule import FusionRule
from rayner.text.labelled_text import LabelledFile
from rayner.text.messages import shorten_repr
from rayner.text.predictions import SegmentPrediction
from rayner.text.spans import Span
from rayner.text.tags import spans_to_tags

COMPARED_SYSTEMS = (
    ("fused", "control"),
    ("control", "slm"),
    *(("fused", other) for other in ("slm", "llm", *(f"fused_{rule}" for rule in BUILT_IN_RULES))),
    ("llm", "slm"),
    *((f"fused_{rule}", f"control_{rule}") for rule in BUILT_IN_RULES),
)
_PER_TYPE_ROUNDS = 1000  # half of the rounds for micro F1, because there is an interval for each type and system
Spans = Sequence[Sequence[Span]]  # the entities of each sentence


def evaluate_fusion(
    segments: Sequence[SegmentPrediction],
    rules: LoadedRules,
    controls: LoadedRules | None,
    types: Sequence[str],
    *,
    seed: int,
) -> Evaluation:
    """Score the SLM, the LLM, their fusion by each rule, and the control of each fusion on labelled segments.

    In a run without an LLM, the rules were fitted on empty LLM answers, and get empty answers here. Then there is
    neither the system `llm`, nor a control, nor a conflict.

    segments: the unit of the bootstrap. If a segment has no LLM answer (gated or set aside), all fusions keep the SLM's
        entities and the system `llm` has no entities there.
    rules: the chosen rule makes the system `fused`, and each built-in rule makes `fused_` with its name. The rule by
        regions also says how H and P are reduced over a conflict region.
    controls: the same for `control` and `control_`. They were fitted on empty LLM answers, and get empty answers here.
        None if there is no LLM.
    types: the types to report. Other types that occur are added after them.

    The result has no `calibration` and no `budget` yet.
    """
    systems_spans, illegal = _list_systems(segments, rules, controls)
    gold = [segment.gold for segment in segments]
    all_types = _all_types(types, chain(gold, *systems_spans.values()))
    counts = {name: count_entities(gold, spans, all_types) for name, spans in systems_spans.items()}
    gold_tags = _spans_to_tags(segments, gold)
    # The lexicon of the learned rule holds the strings that the training text tags.
    names = SeenNames(rules.spans.lexicon.type_counts, [segment.text for segment in segments])
    systems = {
        name: _score_system(
            counts[name],
            all_types,
            score_token_classes(gold_tags, _spans_to_tags(segments, spans), seed=seed),
            count_errors(gold, spans),
            seed,
            illegal.get(name),
            names.score(gold, spans, all_types, seed=seed),
        )
        for name, spans in systems_spans.items()
    }
    conflicts = [] if controls is None else judge_conflicts(segments, rules.regions, systems_spans["fused"])
    return Evaluation(
        types=all_types,
        n_sentences=len(segments),
        n_chars=sum(len(segment.text) for segment in segments),
        distinct=len({segment.text for segment in segments}),
        n_without_llm=0 if controls is None else sum(segment.llm is None for segment in segments),
        systems=systems,
        paired={
            f"{name}-{other}": f1_difference_with_bootstrap_interval(counts[name], counts[other], seed=seed)
            for name, other in COMPARED_SYSTEMS
            if f"fused_{rules.chosen.name}" != other and {name, other} <= systems_spans.keys()
        },
        regions=None if controls is None else summarize_conflicts(segments, conflicts),
        disagreements=tuple(select_disagreements(conflicts, rules.regions)),
    )


def _list_systems(
    segments: Sequence[SegmentPrediction], rules: LoadedRules, controls: LoadedRules | None
) -> tuple[dict[str, list[tuple[Span, ...]]], dict[str, list[int]]]:
    """Return the entities of each system, and the repaired steps of each segment for systems that may need repairs."""
    spans = {"slm": [segment.slm.spans for segment in segments]}
    if controls is None:
        answered = [give_empty_answer(segment) if segment.error is None else segment for segment in segments]
        return spans | _fuse_by_each_rule("fused", answered, rules), _count_illegal_steps("fused", answered, rules)
    spans["llm"] = [segment.llm.spans if segment.llm else () for segment in segments]
    empty = [with_empty_answer(segment) for segment in segments]
    return (
        {**spans, **_fuse_by_each_rule("fused", segments, rules), **_fuse_by_each_rule("control", empty, controls)},
        _count_illegal_steps("fused", segments, rules) | _count_illegal_steps("control", empty, controls),
    )


def evaluate_files(gold: LabelledFile, predicted: LabelledFile, *, seed: int) -> FileEvaluation:
    """Score one labelled file against another that holds the same text.

    The unit of the bootstrap is a sentence of the gold file (`LabelledFile.sentence_bounds`). An entity that crosses a
    sentence end belongs to the sentence in which it starts.
    Raises DataError if the texts differ.
    """
    _check_same_text(gold, predicted)
    text = gold.text
    bounds = gold.sentence_bounds()
    types = _all_types((), (gold.spans, predicted.spans))
    gold_spans, predicted_spans = (
        _group_spans_by_sentence(gold.spans, bounds),
        _group_spans_by_sentence(predicted.spans, bounds),
    )
    scores = _score_system(
        count_entities(gold_spans, predicted_spans, types),
        types,
        score_token_classes(
            *(_group_tags_by_sentence(spans_to_tags(file.spans, len(text)), bounds) for file in (gold, predicted)),
            seed=seed,
        ),
        count_errors(gold_spans, predicted_spans),
        seed,
    )
    return FileEvaluation(
        gold=gold.path,
        predicted=predicted.path,
        types=types,
        n_sentences=len(bounds),
        n_chars=len(text),
        distinct=len({text[start:end] for start, end in bounds}),
        faults={"gold": dict(gold.faults), "predicted": dict(predicted.faults)},
        systems={"predicted": scores},
    )


def count_errors(gold: Spans, predicted: Spans) -> ErrorCounts:
    """Count the outcomes of the gold entities of each type, sentence by sentence (`confusion`)."""
    confusion = count_confusions(gold, predicted)
    pairs: dict[str, dict[str, int]] = {}
    for (gold_type, predicted_type), n in sorted(confusion.type_pairs.items()):
        pairs.setdefault(gold_type, {})[predicted_type] = n
    types = sorted({type_ for type_, _ in confusion.outcomes})
    outcomes = {type_: {outcome: confusion.outcomes[type_, outcome] for outcome in OUTCOMES} for type_ in types}
    return ErrorCounts(pairs, outcomes)


def _score_system(
    counts: EntityCounts,
    types: Sequence[str],
    token_scores: TokenScores,
    errors: ErrorCounts,
    seed: int,
    n_faults_per_sentence: Sequence[int] | None = None,
    names: SeenAndUnseenScores | None = None,
) -> SystemScores:
    """Collect the scores of one system.

    n_faults_per_sentence: number of irregular steps in the tags of each sentence; None if the output is always legal.
    names: scores of names that training showed, and of others; None if the training text is not known.
    """
    return SystemScores(
        micro=micro_score(counts),
        interval=bootstrap_f1_interval(counts, seed=seed),
        macro_f1=macro_f1(counts),
        token=token_scores,
        per_type={
            type_: IntervalScore(
                score.right,
                score.predicted,
                score.gold,
                bootstrap_f1_interval(counts[:, [i]], seed=seed, rounds=_PER_TYPE_ROUNDS),
            )
            for i, (type_, score) in enumerate(score_by_type(counts, types).items())
        },
        errors=errors,
        names=names,
        illegal=None if n_faults_per_sentence is None else sum(n_faults_per_sentence),
        illegal_sentences=None if n_faults_per_sentence is None else sum(map(bool, n_faults_per_sentence)),
    )


def _fuse_by_each_rule(
    prefix: str, segments: Sequence[SegmentPrediction], rules: LoadedRules
) -> dict[str, list[tuple[Span, ...]]]:
    """Return the entities of the system `prefix` (the chosen rule) and of `prefix_` with the name of each rule."""
    built_in = {name: _fused_spans(segments, rule) for name, rule in rules.built_in_rules.items()}
    chosen = built_in.get(rules.chosen.name) or _fused_spans(segments, rules.chosen)
    return {prefix: chosen, **{f"{prefix}_{name}": spans for name, spans in built_in.items()}}


def _count_illegal_steps(
    prefix: str, segments: Sequence[SegmentPrediction], rules: LoadedRules
) -> dict[str, list[int]]:
    """Return, for each system whose tags come from the rule by characters, the repaired steps of each segment."""
    n_faults = [rules.characters.fuse_tags(segment.slm, segment.llm).n_faults for segment in segments]
    name = rules.characters.name
    return {f"{prefix}_{name}": n_faults, **({prefix: n_faults} if rules.chosen.name == name else {})}


def _fused_spans(segments: Sequence[SegmentPrediction], rule: FusionRule) -> list[tuple[Span, ...]]:
    return [tuple(entity.span for entity in entities) for entities in rule.decide_all(segments)]


def _spans_to_tags(segments: Sequence[SegmentPrediction], spans: Spans) -> list[list[str]]:
    """Return the BMES tags of the characters of each segment."""
    return [
        spans_to_tags(segment_spans, len(segment.text)) for segment, segment_spans in zip(segments, spans, strict=True)
    ]


def _all_types(types: Sequence[str], spans: Iterable[Iterable[Span]]) -> tuple[str, ...]:
    others = {span.type for group in spans for span in group} - set(types)
    return (*dict.fromkeys(types), *sorted(others))


def _group_spans_by_sentence(spans: Iterable[Span], sentence_bounds: Sequence[tuple[int, int]]) -> list[list[Span]]:
    """Return the spans that start in each sentence. Their offsets do not change."""
    starts = [start for start, _ in sentence_bounds]
    groups: list[list[Span]] = [[] for _ in sentence_bounds]
    for span in spans:
        groups[bisect_right(starts, span.start) - 1].append(span)
    return groups


def _group_tags_by_sentence(tags: Sequence[str], sentence_bounds: Sequence[tuple[int, int]]) -> list[Sequence[str]]:
    return [tags[start:end] for start, end in sentence_bounds]


def _check_same_text(gold: LabelledFile, predicted: LabelledFile) -> None:
    if gold.text == predicted.text:
        return
    pairs = zip(gold.text, predicted.text, strict=False)  # one text may be the beginning of the other
    shorter = min(len(gold.text), len(predicted.text))
    offset = next((i for i, (expected, found) in enumerate(pairs) if expected != found), shorter)
    expected, found = (text[max(0, offset - 10) : offset + 10] for text in (gold.text, predicted.text))
    raise DataError(
        f"{predicted.path}: expected the text of {gold.path} ({len(gold.text)} characters), found another "
        f"({len(predicted.text)} characters); they first differ at offset {offset}: expected {shorten_repr(expected)}, "
        f"found {shorten_repr(found)}"
    )
