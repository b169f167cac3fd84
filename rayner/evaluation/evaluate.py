"""Scores of tagged text against gold, as plain JSON values: of a fusion and its two sides, or of two files.

Every number is named for what it is (`rayner.evaluation.metrics`). Intervals are 95% percentile bootstraps over
sentences.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from rayner.errors import DataError
from rayner.evaluation.conflicts import judge_conflicts, select_disagreements, summarize_conflicts
from rayner.evaluation.confusion import OUTCOMES, count_confusions
from rayner.evaluation.metrics import (
    EntityCounts,
    Score,
    bootstrap_interval,
    count_entities,
    macro_f1,
    micro_score,
    paired_bootstrap_interval,
    score_by_type,
    token_macro_f1,
)
from rayner.fusion import model_confidence
from rayner.fusion.deciding import FusionRule, decide
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.regions import fuse_by_characters
from rayner.text.labelled_text import LabelledFile
from rayner.text.predictions import SegmentPrediction
from rayner.text.segmentation import split_sentences
from rayner.text.spans import Span
from rayner.text.tags import spans_to_tags

COMPARED_SYSTEMS = (
    *(("fused", other) for other in ("slm", "llm", "fused_regions", "fused_calibrated", "fused_characters")),
    ("llm", "slm"),
)
_PER_TYPE_ROUNDS = 1000  # half of what the micro F1 gets: there is one for each type and system


def evaluate_fusion(
    rows: Sequence[SegmentPrediction],
    rule: FusionRule,
    types: Sequence[str],
    *,
    seed: int,
    regions: RegionRule | None = None,
    weights: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Scores of the SLM, the LLM, their fusion and the paper's fusion by characters on labelled segments.

    rows: labelled segments, the unit of the bootstrap. Where a row has no LLM answer (gated or set aside), both
    fusions keep the SLM's entities and the system "llm" has none there: `n_without_llm` says how often, and "llm"
    is only a fair number where that is 0. types: those to report; others that occur are added after them. regions: the
    best rule by regions, which `rule` is if that is none; it says how H and P are reduced over a conflict region, and
    its lambda is that of the fusion by characters. What it gives is the system `fused_regions`, if it is not `rule`.
    weights: those that calibrate each model, for the system `fused_calibrated` (see `confidence.fuse`).

    Keys: `systems` {slm, llm, fused, fused_characters: see `_scores`, and `count_errors`; the last also `illegal`, the
    irregular steps of its tags, mended before scoring, and `illegal_sentences`}; `paired` {"fused-slm": [difference
    in micro F1, low, high], ...}; `regions` (see `conflicts.summarize_conflicts`);
    `disagreements` (see `conflicts.select_disagreements`);
    `types`; `n_sentences` (rows); `n_chars`; `distinct` (different texts among the rows); `n_without_llm`.
    """
    regions = rule if isinstance(rule, RegionRule) else regions or RegionRule(0.0)
    answers, illegal = _answers(rows, rule, regions)
    if weights:
        answers["fused_calibrated"] = [model_confidence.fuse(row, types, weights) for row in rows]
    gold = [row.gold for row in rows]
    kinds = _all_types(types, chain(gold, *answers.values()))
    counts = {name: count_entities(gold, spans, kinds) for name, spans in answers.items()}
    gold_tags = _tags(rows, gold)
    systems = {
        name: {
            **_scores(counts[name], kinds, token_macro_f1(gold_tags, _tags(rows, spans)), seed),
            "errors": count_errors(gold, spans),
        }
        for name, spans in answers.items()
    }
    systems["fused_characters"] |= {"illegal": sum(illegal), "illegal_sentences": sum(map(bool, illegal))}
    found = judge_conflicts(rows, regions, answers["fused"])
    return {
        "types": list(kinds),
        "n_sentences": len(rows),
        "n_chars": sum(len(row.text) for row in rows),
        "distinct": len({row.text for row in rows}),
        "n_without_llm": sum(row.llm is None for row in rows),
        "systems": systems,
        "paired": {
            f"{a}-{b}": list(paired_bootstrap_interval(counts[a], counts[b], seed=seed))
            for a, b in COMPARED_SYSTEMS
            if b in counts
        },
        "regions": summarize_conflicts(rows, found),
        "disagreements": select_disagreements(found, regions, rule),
    }


def evaluate_files(gold: LabelledFile, predicted: LabelledFile, *, seed: int) -> dict[str, Any]:
    """Scores of one labelled file against another that holds the same text.

    Sentences (the unit of the bootstrap) are those of `rayner.text.segmentation`; an entity that crosses the end of one
    belongs to the sentence in which it starts. Keys: `gold` and `predicted` (paths), `types`, `n_sentences`,
    `n_chars`, `distinct` (different sentences), `faults` {"gold", "predicted": as in Labelled}, `systems` {"predicted":
    see `_scores`}.
    Raises DataError where the texts differ.
    """
    _check_same_text(gold, predicted)
    text = gold.text
    bounds = split_sentences(text)
    kinds = _all_types((), (gold.spans, predicted.spans))
    wanted, found = _by_sentence(gold.spans, bounds), _by_sentence(predicted.spans, bounds)
    counts = count_entities(wanted, found, kinds)
    token = token_macro_f1(spans_to_tags(gold.spans, len(text)), spans_to_tags(predicted.spans, len(text)))
    return {
        "gold": gold.path,
        "predicted": predicted.path,
        "types": list(kinds),
        "n_sentences": len(bounds),
        "n_chars": len(text),
        "distinct": len({text[start:end] for start, end in bounds}),
        "faults": {"gold": dict(gold.faults), "predicted": dict(predicted.faults)},
        "systems": {"predicted": {**_scores(counts, kinds, token, seed), "errors": count_errors(wanted, found)}},
    }


def count_errors(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """What became of the entities of each type (see `evaluation.confusion`).

    `pairs` {gold type: {predicted type: n}}, "" for none; `outcomes` {gold type: {right | boundary | type | both |
    missed: n}}.
    """
    found = count_confusions(gold, predicted)
    pairs: dict[str, dict[str, int]] = {}
    for (ours, theirs), n in sorted(found.pairs.items()):
        pairs.setdefault(ours, {})[theirs] = n
    kinds = sorted({kind for kind, _ in found.outcomes})
    return {"pairs": pairs, "outcomes": {kind: {k: found.outcomes[kind, k] for k in OUTCOMES} for kind in kinds}}


def format_score_table(result: dict[str, Any]) -> str:
    """The scores of `evaluate_files` or `evaluate_fusion` as a table for the terminal; F1 and the like in percent."""
    width = max([16, *(len(kind) for kind in result["types"])])
    blocks = [f"{result['n_sentences']:,} sentences, {result['n_chars']:,} characters; percent, 95% intervals of F1"]
    for name, system in result["systems"].items():
        lines = [
            f"{name:<{width}}  {'gold':>7} {'found':>7} {'right':>7}  {'prec.':>6} {'recall':>6} {'F1':>6}  interval"
        ]
        lines.append("-" * len(lines[0]))
        rows = [*system["per_type"].items(), ("all (micro)", system["micro"] | {"interval": system["interval"]})]
        lines += [_table_row(label, row, width) for label, row in rows]
        gap = " " * 41
        lines.append(f"{'macro over types':<{width}}{gap}{100 * system['macro_f1']:6.2f}")
        lines.append(f"{'token macro':<{width}}{gap}{100 * system['token_macro_with_o']:6.2f}  with O")
        lines.append(f"{'':<{width}}{gap}{100 * system['token_macro_without_o']:6.2f}  without O")
        blocks.append("\n".join(lines))
    pairs = [
        f"{pair:<24} {100 * difference:+6.2f}  {100 * low:+.2f} to {100 * high:+.2f}"
        for pair, (difference, low, high) in result.get("paired", {}).items()
    ]
    return "\n\n".join([*blocks, *(["difference in F1, points\n" + "\n".join(pairs)] if pairs else [])]) + "\n"


def _table_row(label: str, row: dict[str, Any], width: int) -> str:
    low, high = row["interval"]
    shares = " ".join(f"{100 * row[key]:6.2f}" for key in ("precision", "recall", "f1"))
    counted = " ".join(f"{row[key]:7,}" for key in ("gold", "predicted", "right"))
    return f"{label:<{width}}  {counted}  {shares}  {100 * low:.2f} to {100 * high:.2f}"


def _scores(counts: EntityCounts, types: Sequence[str], token: tuple[float, float], seed: int) -> dict[str, Any]:
    """The scores of one system, shares in [0, 1].

    `micro` {precision, recall, f1, right, predicted, gold}, `interval` of its F1 [low, high], `macro_f1` over
    types, `token_macro_with_o`, `token_macro_without_o` over BMES tags, and `score_by_type`, each as micro with an
    interval of its own.
    """
    return {
        "micro": _score(micro_score(counts)),
        "interval": list(bootstrap_interval(counts, seed=seed)),
        "macro_f1": macro_f1(counts),
        "token_macro_with_o": token[0],
        "token_macro_without_o": token[1],
        "per_type": {
            kind: _score(score)
            | {"interval": list(bootstrap_interval(counts[:, [i]], seed=seed, rounds=_PER_TYPE_ROUNDS))}
            for i, (kind, score) in enumerate(score_by_type(counts, types).items())
        },
    }  # fmt: skip


def _score(score: Score) -> dict[str, Any]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "right": score.right,
        "predicted": score.predicted,
        "gold": score.gold,
    }


def _answers(
    rows: Sequence[SegmentPrediction], rule: FusionRule, regions: RegionRule
) -> tuple[dict[str, list[tuple[Span, ...]]], list[int]]:
    """Every system's entities, a row each; and the irregular steps of the fusion by characters, a row each."""
    by_character = [fuse_by_characters(row.slm, row.llm, regions.weight) if row.llm else None for row in rows]
    answers = {
        "slm": [row.slm.spans for row in rows],
        "llm": [row.llm.spans if row.llm else () for row in rows],
        "fused": _decided(rows, rule),
        **({} if rule is regions else {"fused_regions": _decided(rows, regions)}),
        "fused_characters": [
            done.spans if done else row.slm.spans for row, done in zip(rows, by_character, strict=True)
        ],
    }
    return answers, [done.n_faults if done else 0 for done in by_character]


def _decided(rows: Sequence[SegmentPrediction], rule: FusionRule) -> list[tuple[Span, ...]]:
    return [tuple(item.span for item in decide(row, rule)) for row in rows]


def _tags(rows: Sequence[SegmentPrediction], spans: Sequence[Sequence[Span]]) -> list[str]:
    return [tag for row, found in zip(rows, spans, strict=True) for tag in spans_to_tags(found, len(row.text))]


def _all_types(types: Sequence[str], spans: Iterable[Iterable[Span]]) -> tuple[str, ...]:
    others = {span.type for group in spans for span in group} - set(types)
    return (*dict.fromkeys(types), *sorted(others))


def _by_sentence(spans: Iterable[Span], bounds: Sequence[tuple[int, int]]) -> list[list[Span]]:
    """The spans (offsets unchanged) of each sentence: those that start in it."""
    starts = [start for start, _ in bounds]
    groups: list[list[Span]] = [[] for _ in bounds]
    for span in spans:
        groups[bisect_right(starts, span.start) - 1].append(span)
    return groups


def _check_same_text(gold: LabelledFile, predicted: LabelledFile) -> None:
    if gold.text == predicted.text:
        return
    pairs = zip(gold.text, predicted.text, strict=False)  # one may be the beginning of the other
    shorter = min(len(gold.text), len(predicted.text))
    at = next((i for i, (ours, theirs) in enumerate(pairs) if ours != theirs), shorter)
    ours, theirs = (text[max(0, at - 10) : at + 10] for text in (gold.text, predicted.text))
    raise DataError(
        f"{predicted.path}: expected the text of {gold.path} ({len(gold.text)} characters), found another "
        f"({len(predicted.text)} characters); they first differ at offset {at}: expected {ours!r}, found {theirs!r}"
    )
