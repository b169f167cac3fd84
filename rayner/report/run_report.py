"""The report of a run: what the test sentences say of both models and the fusion, and a page to look at."""

from dataclasses import replace
from itertools import islice
from typing import Any

from rayner.corpus.prediction_tables import read_predictions
from rayner.corpus.tables import iter_documents
from rayner.evaluation.artifact import Evaluation, empty_evaluation
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.evaluation.llm_share_curve import f1_by_llm_share
from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.fusion_rule import FusionRule
from rayner.report.csv_tables import evaluation_to_csv_tables
from rayner.report.page import TaggedSample, write_report_page
from rayner.runs.run_folder import Run, write_json
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.segmentation import split_sentences

EVALUATION_FILE = "evaluation.json"
MAX_SAMPLES = 3
MAX_SAMPLE_CHARS = 1200


def evaluate_and_write_report(
    run: Run,
    fusion: TunedFusion,
    rule: FusionRule,
    *,
    title: str,
    run_facts: dict[str, Any],
    tagged: StoragePath | None,
    seed: int,
) -> Evaluation | None:
    """Score the test sentences, write `evaluation.json`, `tables/*.csv` and `report.html`; return the evaluation.

    fusion: the run's `fusion.json`; rule: its chosen rule, loaded.
    run_facts: what the page tells of the run (inputs, counts, timings ...); tagged: the tagged corpus, for a sample.
    """
    segments = read_predictions(run.local_path("scores", "test.parquet"))
    evaluation = None
    if segments:
        types = run.step_result("data")["types"]
        evaluation = replace(
            evaluate_fusion(segments, rule, types, region_rule=fusion.region_rule, seed=seed),
            calibration=evaluate_calibration(segments, rule, types, fusion.calibration),
            budget=f1_by_llm_share(segments, rule, fusion.budget),
        )
    write_json(run.path(EVALUATION_FILE), evaluation.to_json() if evaluation else empty_evaluation())
    values = evaluation.to_json() if evaluation else {}
    for name, content in (evaluation_to_csv_tables(values) if values else {}).items():
        with atomic_writer(run.path("tables", name)) as stream:
            stream.write(content.encode())
    write_report_page(
        run.path("report.html"),
        title=title,
        evaluation=values,
        fusion=fusion.to_json(),
        run=run_facts,
        samples=read_samples(tagged) if tagged else [],
    )
    return evaluation


def read_samples(tagged: StoragePath) -> list[TaggedSample]:
    """The beginnings of the first documents, cut after a sentence."""
    out = []
    for document in islice(iter_documents(tagged), MAX_SAMPLES):
        ends = [end for _, end in split_sentences(document.text[: 4 * MAX_SAMPLE_CHARS])]
        cut = max((end for end in ends if end <= MAX_SAMPLE_CHARS), default=ends[0] if ends else 0)
        inside = [entity for entity in document.entities if entity["end"] <= cut]
        out.append(TaggedSample(document.doc_id, document.text[:cut], inside))
    return out
