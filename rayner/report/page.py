"""Write the HTML report of a run in English and Chinese. The file needs no network and no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rayner.corpus.novelty import MIN_NAMES, UNUSUAL_PER_REASON, CorpusNovelty
from rayner.corpus.review.estimate import CorpusEstimate
from rayner.evaluation.artifact import Disagreement, Evaluation
from rayner.fusion.artifact import TunedFusion
from rayner.rendering.bilingual import BilingualText, same_in_both
from rayner.rendering.estimate_sentences import describe_estimate, describe_missed_names
from rayner.rendering.tagged_text import TaggedSample, TextPiece, split_by_entities
from rayner.rendering.templates import format_percent, load_templates
from rayner.rendering.translation import (
    find_type_gloss,
    format_type_with_gloss,
    translate,
)
from rayner.rendering.type_styles import assign_type_colours
from rayner.report import fact_tables, plots
from rayner.report.fusion_summary import (
    describe_baseline_f1,
    describe_character_rule,
    describe_llm_use,
    describe_llm_worth,
    describe_region_rule,
    describe_rule_choice,
    format_points,
    list_curve_maxima,
    rank_span_rule_weights,
)
from rayner.report.score_sentences import describe_novelty, describe_shares
from rayner.report.system_texts import SYSTEM_TEXTS, get_all_system_texts, get_system_texts
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.entity_types import sort_types

__all__ = ["TaggedSample", "write_report_page"]

_OPEN_DISAGREEMENTS = 10  # shown at once; the others are in a closed <details>


@dataclass(frozen=True)
class ScoreCard:
    """The main scores of a system.

    interval_left, interval_width, f1_position: The interval and the F1 as percentages of the width of the scale, which
        is the same for all cards.
    """

    name: str
    label: BilingualText
    f1: float
    interval: tuple[float, float]
    precision: float
    recall: float
    n_correct: int
    n_gold: int
    interval_left: float
    interval_width: float
    f1_position: float


@dataclass(frozen=True)
class Comparison:
    """A sentence about the difference in F1 between two systems. `verdict` is ahead, behind or even."""

    verdict: str
    text: BilingualText


@dataclass(frozen=True)
class ConflictLines:
    """A conflict region (where the two models disagree): one line for gold and for each system, and the outcome.

    lines: (key, label, pieces of text) of each line.
    verdict: good, bad or moot (no model is correct, or the region has no winner).
    """

    disagreement: Disagreement
    lines: list[tuple[str, BilingualText, list[TextPiece]]]
    verdict: str
    outcome: BilingualText


def write_report_page(
    path: StoragePath,
    *,
    title: str,
    evaluation: Evaluation | None,
    fusion: TunedFusion | None,
    facts: Mapping[str, Any],
    methods: BilingualText | None,
    samples: Sequence[TaggedSample],
    estimate: CorpusEstimate | None = None,
    warnings: Sequence[BilingualText] = (),
    asks_llm: bool = True,
    novelty: CorpusNovelty | None = None,
) -> None:
    """Write the report page. Sections without data are left out.

    Args:
        path: The file to write (UTF-8).
        title: The title of the page.
        evaluation: The scores on the test data, None if there are no labelled test data.
        fusion: The fusion rules that were tuned, None if there are none.
        facts: The recorded facts of the run, any JSON. The page shows the tables of
            `fact_tables.build_main_fact_tables`; the other tables are in a closed part.
        methods: The methods paragraph.
        samples: Passages of the tagged corpus.
        estimate: The scores of the tagged corpus by a random sample that a person marked, None without one.
        warnings: What the reader must see first.
        asks_llm: Whether tagging asks the LLM.
        novelty: How unlike the training text the corpus is, None without a corpus.

    Raises:
        ValueError: The entities of a sample overlap or exceed its text.

    """
    template = _load_report_templates().get_template("report.html.j2")
    has_llm = fusion is None or fusion.has_llm
    page = template.render(
        title=title,
        warnings=warnings,
        facts=fact_tables.build_main_fact_tables(facts),
        more_facts=fact_tables.build_remaining_fact_tables(facts),
        methods=methods,
        **_list_types_with_styles(evaluation, samples),
        has_llm=has_llm,
        asks_llm=asks_llm,
        novelty=describe_novelty(novelty, evaluation) if novelty else None,
        unusual_documents=novelty.unusual_documents if novelty else (),
        unusual_documents_note=translate("unusual_documents_note", UNUSUAL_PER_REASON, MIN_NAMES),
        systems=get_system_texts(has_llm=has_llm),
        all_systems=get_all_system_texts(has_llm=has_llm),
        evaluation=evaluation,
        cards=_build_score_cards(evaluation, get_system_texts(has_llm=has_llm)) if evaluation else [],
        shares=describe_shares(evaluation) if evaluation else None,
        estimate=describe_estimate(estimate) if estimate else None,
        missed=describe_missed_names(estimate, evaluation),
        worth=describe_llm_worth(evaluation.llm_worth) if evaluation and evaluation.llm_worth else None,
        comparisons=_compare_systems(evaluation, get_all_system_texts(has_llm=has_llm)) if evaluation else [],
        fusion=fusion,
        rule=describe_region_rule(fusion) if fusion else None,
        character_rule=describe_character_rule(fusion) if fusion else None,
        rule_choice=describe_rule_choice(fusion) if fusion else None,
        llm_use=describe_llm_use(fusion, asks_llm=asks_llm) if fusion else None,
        weights=rank_span_rule_weights(fusion) if fusion else [],
        baselines=describe_baseline_f1(fusion) if fusion else None,
        curve_maxima=list_curve_maxima(fusion) if fusion else [],
        plots=_draw_plots(evaluation, fusion),
        disagreements=list(map(_build_conflict_lines, evaluation.disagreements)) if evaluation else [],
        open_disagreements=_OPEN_DISAGREEMENTS,
        samples_by_person=any(entity.get("decided_by") == "person" for s in samples for entity in s.entities),
        samples=[(sample.title, split_by_entities(sample.text, sample.entities)) for sample in samples],
    )
    with atomic_writer(path) as stream:
        stream.write(page.encode())


def _load_report_templates() -> Environment:
    environment = load_templates(Path(__file__).parent)
    environment.globals["type_gloss"] = find_type_gloss
    environment.filters |= {"percent": format_percent, "with_gloss": format_type_with_gloss}
    return environment


def _build_score_cards(evaluation: Evaluation, labels: Mapping[str, BilingualText]) -> list[ScoreCard]:
    systems = [(name, label, evaluation.systems[name]) for name, label in labels.items()]
    values = [value for _, _, system in systems for value in (*system.interval, system.micro.f1)]
    low = min(values)
    width = max(values) - low or 1.0
    return [
        ScoreCard(
            name,
            label,
            system.micro.f1,
            system.interval,
            system.micro.precision,
            system.micro.recall,
            n_correct=system.micro.right,
            n_gold=system.micro.gold,
            interval_left=round(100 * (system.interval[0] - low) / width, 2),
            interval_width=round(100 * (system.interval[1] - system.interval[0]) / width, 2),
            f1_position=round(100 * (system.micro.f1 - low) / width, 2),
        )
        for name, label, system in systems
    ]


def _compare_systems(evaluation: Evaluation, labels: Mapping[str, BilingualText]) -> list[Comparison]:
    return [_describe_difference(pair, *values, labels) for pair, values in evaluation.paired.items()]


def _describe_difference(
    system_pair: str, difference: float, low: float, high: float, labels: Mapping[str, BilingualText]
) -> Comparison:
    """Describe the difference in F1 between two systems.

    system_pair: Two names such as "fused-slm". `difference`, with the interval from `low` to `high`, is the F1 of the
        first system minus the F1 of the second system.
    labels: The names of the systems.
    """
    first, second = (labels.get(name, same_in_both(name)) for name in system_pair.split("-"))
    verdict = "ahead" if low > 0 else "behind" if high < 0 else "even"
    if verdict == "behind":
        first, second, difference, low, high = second, first, -difference, -high, -low
    interval = translate("interval", format_points(low), format_points(high))
    text = (
        translate("no_clear_difference", first, second, format_points(difference), interval)
        if verdict == "even"
        else translate("higher", first, second, format_percent(difference), interval)
    )
    return Comparison(verdict, text.capitalized)


def _draw_plots(evaluation: Evaluation | None, fusion: TunedFusion | None) -> dict[str, Markup]:
    """Return the plots for which there is data, by name."""
    has_llm = fusion is None or fusion.has_llm
    svgs = {}
    if evaluation and any(system.micro.gold or system.micro.predicted for system in evaluation.systems.values()):
        svgs["types"] = plots.plot_f1_by_type(evaluation.systems, "fused" if has_llm else "rule_output")
    if fusion and fusion.has_llm and fusion.curves:
        svgs["curve"] = plots.plot_f1_by_lambda(fusion.curves, fusion.region_rule, fusion.baseline_f1)
    if evaluation and evaluation.budget:
        svgs["budget"] = plots.plot_f1_by_llm_share(evaluation.budget)
    for name, calibration in (evaluation.calibration if evaluation else {}).items():
        svgs[f"reliability_{name}"] = plots.plot_reliability(
            calibration.bins, name, get_system_texts(has_llm=has_llm)[name]
        )
    return {name: Markup(svg) for name, svg in svgs.items()}


def _build_conflict_lines(disagreement: Disagreement) -> ConflictLines:
    lines = []
    for key, spans in _group_spans_by_source(disagreement).items():
        entities = [{"start": start, "end": end, "type": type_name} for start, end, type_name in spans]
        lines.append(
            (key, translate(key).capitalized, split_by_entities(disagreement.text, entities, disagreement.region))
        )
    winner, correct = SYSTEM_TEXTS.get(disagreement.winner), SYSTEM_TEXTS.get(disagreement.right)
    if not winner:
        verdict, outcome = "moot", translate("mixed", correct or translate("no_model"))
    elif correct == winner:
        verdict, outcome = "good", translate("won_and_correct", winner)
    elif correct:
        verdict, outcome = "bad", translate("won_but_other_correct", winner, correct)
    else:
        verdict, outcome = "moot", translate("won_none_correct", winner)
    return ConflictLines(disagreement, lines, verdict, outcome)


def _group_spans_by_source(disagreement: Disagreement) -> dict[str, tuple[tuple[int, int, str], ...]]:
    return {
        "gold": disagreement.gold,
        "slm": disagreement.slm,
        "llm": disagreement.llm,
        "fused": disagreement.fused,
    }


def _list_types_with_styles(evaluation: Evaluation | None, samples: Sequence[TaggedSample]) -> dict[str, Any]:
    """Return the sorted types in the scores and in the samples, and the colour and the CSS class of each type."""
    scored_types = set(evaluation.types) if evaluation else set()
    for disagreement in evaluation.disagreements if evaluation else ():
        scored_types |= {
            type_name for spans in _group_spans_by_source(disagreement).values() for *_, type_name in spans
        }
    sample_types = {entity["type"] for sample in samples for entity in sample.entities}
    palette = assign_type_colours(sorted(scored_types | sample_types))
    return {
        "scored_types": sort_types(scored_types),
        "sample_types": sort_types(sample_types),
        "colours": list(palette.items()),
        "classes": {type_name: f"t{i}" for i, type_name in enumerate(palette)},
    }
