"""The report of a run: what the test sentences say of both models and the fusion, and a page to look at."""

from itertools import islice
from typing import Any

from rayner.corpus.prediction_tables import read_predictions
from rayner.corpus.tables import iter_documents
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.evaluation.llm_share_curve import f1_by_llm_share
from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import chosen
from rayner.fusion.region_rule import RegionRule
from rayner.report.csv_tables import evaluation_to_csv_tables
from rayner.report.page import TaggedSample, write_report_page
from rayner.runs.run_folder import Run, read_json, write_json
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.segmentation import split_sentences

MAX_SAMPLES = 3
MAX_SAMPLE_CHARS = 1200


def evaluate_and_write_report(
    run: Run, *, title: str, run_facts: dict[str, Any], tagged: StoragePath | None, seed: int
) -> dict[str, Any]:
    """Score the test sentences, write `evaluation.json`, `tables/*.csv` and `report.html`; returns the evaluation.

    about: what the page tells of the run (inputs, counts, timings ...); tagged: the tagged corpus, for a sample.
    """
    fusion = read_json(run.path("fusion.json"))
    rule = chosen(fusion)
    rows = read_predictions(run.local_path("scores", "test.parquet"))
    evaluation: dict[str, Any] = {}
    if rows:
        types = run.step_result("data")["types"]
        weights = fusion["calibration"]
        evaluation = evaluate_fusion(
            rows, rule, types, seed=seed, regions=RegionRule(**fusion["rule"]), weights=weights
        )
        evaluation["calibration"] = evaluate_calibration(rows, rule, types, weights)
    if rows:
        f1, passed = f1_by_llm_share(rows, rule, Budget(**fusion["budget"]))
        share = [i / len(rows) for i in range(len(f1))]
        evaluation["budget"] = {"share": share, "f1": f1, "exact": {"share": share[passed], "f1": f1[passed]}}
    write_json(run.path("evaluation.json"), evaluation)
    for name, content in (evaluation_to_csv_tables(evaluation) if evaluation else {}).items():
        with atomic_writer(run.path("tables", name)) as stream:
            stream.write(content.encode())
    write_report_page(
        run.path("report.html"),
        title=title,
        evaluation=evaluation,
        fusion=fusion,
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
