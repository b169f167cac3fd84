"""Load what the benchmark measures: sentences of the corpus, and the LLM stage in each mode.

A mode is a combination of gate (which sentences the LLM is asked about) and group size g (sentences that share
retrieved examples).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rayner.config.settings import Config
from rayner.corpus.reading import CorpusSurvey, read_documents, require_corpus
from rayner.decoding.draft_verify import DecodingCost, DraftVerifyEngine
from rayner.decoding.engine import WindowRequest
from rayner.fusion.budget import fit_budget
from rayner.fusion.fusion_rule import FusionRule
from rayner.runs.run_folder import Run
from rayner.steps import score
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.tag.llm_gate import Gate
from rayner.steps.tag.stages import LlmStage, SlmStage, UnitSegments
from rayner.text.predictions import SegmentPrediction, empty_prediction
from rayner.text.segmentation import bounds_without_whitespace, split_sentences
from rayner.text.spans import Span, crop_spans

ALL_THREADS = 2**10  # more than any machine has, so torch uses all of them: nothing else runs during the benchmark


@dataclass(frozen=True)
class ObservedStage:
    """The LLM stage of one mode, and its results on the sentences of the benchmark.

    stage: the LLM stage.
    engine: the decoding engine of the stage.
    segments: the sentences with the LLM's answers.
    requests: the requests of the LLM, with the LLM's own answers as drafts.
    cost: number of batches, tokens and padding tokens that decoding took.
    """

    stage: LlmStage
    engine: DraftVerifyEngine
    segments: Sequence[SegmentPrediction]
    requests: Sequence[WindowRequest]
    cost: DecodingCost


@dataclass(frozen=True)
class BenchmarkSetup:
    """The sentences of the benchmark with the small model's predictions, and the LLM stage in each mode.

    unit: the sentences with the small model's predictions.
    ungated: the stage without a gate: the LLM is asked about every sentence, and no sentences share examples.
    modes: the stages by name. The exact mode comes first, and the mode that saves the most comes last.
    """

    config: Config
    run: Run
    unit: UnitSegments
    ungated: ObservedStage
    modes: dict[str, ObservedStage]


def prepare_benchmark(config: Config, run: Run) -> BenchmarkSetup:
    """Load the models, tag the sentences with the small model, and run each mode once."""
    unit = score_with_slm(config, run, UnitSegments("bench", read_first_sentences(config)))
    group, share = config.bench.prompt_group, config.bench.gate_share
    exact, budgeted = load_benchmark_gate(config, run), load_benchmark_gate(config, run, share=share)
    stages = {
        "exact, g = 1": build_llm_stage(config, run, exact),
        f"exact gate, g = {group}": build_llm_stage(config, run, exact, group),
        f"g = {group}, gate.share={share:g}": build_llm_stage(config, run, budgeted, group),
    }
    ungated = run_and_observe_stage(build_llm_stage(config, run, None), unit)
    return BenchmarkSetup(
        config, run, unit, ungated, {name: run_and_observe_stage(stage, unit) for name, stage in stages.items()}
    )


def read_first_sentences(config: Config) -> list[SegmentPrediction]:
    """Read the first `bench.sentences` sentences of the corpus, in order, without predictions."""
    segments: list[SegmentPrediction] = []
    for document in read_documents(require_corpus(config.corpus.path), CorpusSurvey(), config.corpus.encoding):
        text = document.text
        segments += [
            SegmentPrediction(document.doc_id, start, end, text[start:end], empty_prediction())
            for start, end in split_sentences(text)
        ]
        if len(segments) >= config.bench.sentences:
            break
    return segments[: config.bench.sentences]


def score_with_slm(config: Config, run: Run, unit: UnitSegments) -> UnitSegments:
    """Add the small model's predictions to a unit."""
    return SlmStage(config, run)(unit)


def load_benchmark_gate(config: Config, run: Run, **gate_fields: Any) -> Gate:  # noqa: ANN401 - the fields of Gate
    """Load the gate for the run's fusion rule by conflict regions.

    If `bench.gate_weight` is set, it replaces the rule's tuned weight (lambda).

    gate_fields: `exact` and `share` of the gate.
    """
    fusion = read_tuned_fusion(run)
    rule, budget = fusion.region_rule, fusion.budget
    if config.bench.gate_weight is not None:
        rule = replace(rule, weight=config.bench.gate_weight)
    if not fusion.budget_is_for(rule):
        budget = fit_budget(score.read_predictions_with_llm_answer(run, "dev"), rule)
    return Gate(rule, budget, **gate_fields)


def build_llm_stage(
    config: Config, run: Run, gate: Gate | None, group_size: int = 1, *, use_drafts: bool = True
) -> LlmStage:
    """Build an LLM stage from the settings, but with another gate, `prompt.group` and `score.draft`.

    Args:
        config: the settings.
        run: the run whose models are loaded.
        gate: the gate; None asks the LLM about every sentence.
        group_size: replaces `prompt.group`, the number of sentences that share examples.
        use_drafts: replaces `score.draft`, whether the SLM's entities serve as a draft of the answer.

    """
    changed = replace(
        config, prompt=replace(config.prompt, group=group_size), score=replace(config.score, draft=use_drafts)
    )
    return LlmStage(changed, run, gate)


def run_and_observe_stage(stage: LlmStage, unit: UnitSegments) -> ObservedStage:
    """Run an LLM stage once over a unit; record its answers, the requests of the LLM, and the cost of decoding.

    Raises TypeError if the engine of the stage does not verify drafts.
    """
    engine = stage.engine
    if not isinstance(engine, DraftVerifyEngine):
        raise TypeError(f"expected a stage that verifies drafts, found one with {type(engine).__name__}")
    before = replace(engine.cost)
    segments, after = stage(unit).segments, engine.cost
    cost = DecodingCost(after.batches - before.batches, after.tokens - before.tokens, after.padding - before.padding)
    answered = [
        (segment, bounds_without_whitespace(segment.text), segment.llm.spans)
        for segment in segments
        if segment.llm is not None
    ]
    text_requests = [stage.build_request(segment) for segment, _, _ in answered]
    examples = stage.retriever.find_examples([request.text for request in text_requests])
    requests = [
        WindowRequest(request.text, shown, crop_spans(spans, *bounds), request.stop_mask, hint=request.hint)
        for request, shown, (_, bounds, spans) in zip(text_requests, examples, answered, strict=True)
    ]
    return ObservedStage(stage, engine, segments, requests, cost)


def fused_spans(segments: Sequence[SegmentPrediction], rule: FusionRule) -> list[tuple[Span, ...]]:
    """Return the spans of each segment's fused entities."""
    return [tuple(entity.span for entity in entities) for entities in rule.decide_all(segments)]
