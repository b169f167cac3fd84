"""The report of a run: what the test sentences say of both models and the fusion, and a page to look at."""

from itertools import islice
from typing import Any

from rayner.corpus.prediction_tables import read_scored
from rayner.corpus.tables import iter_documents
from rayner.evaluation.budget_curve import f1_by_share
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.evaluation.reliability import calibration_of
from rayner.fusion.budget import Budget
from rayner.fusion.deciding import chosen
from rayner.fusion.region_rule import Rule
from rayner.report.page import Sample, write_report
from rayner.report.tables import tables
from rayner.runs.run_folder import Run, read_json, write_json
from rayner.runs.storage import Place, replacing
from rayner.text.segmentation import sentences

SAMPLE_DOCUMENTS = 3
SAMPLE_CHARS = 1200


def make_report(run: Run, *, title: str, about: dict[str, Any], tagged: Place | None, seed: int) -> dict[str, Any]:
    """Score the test sentences, write `evaluation.json`, `tables/*.csv` and `report.html`; returns the evaluation.

    about: what the page tells of the run (inputs, counts, timings ...); tagged: the tagged corpus, for a sample.
    """
    fusion = read_json(run.path("fusion.json"))
    rule = chosen(fusion)
    rows = read_scored(run.local("scores", "test.parquet"))
    evaluation: dict[str, Any] = {}
    if rows:
        types = run.facts("data")["types"]
        weights = fusion["calibration"]
        evaluation = evaluate_fusion(rows, rule, types, seed=seed, regions=Rule(**fusion["rule"]), weights=weights)
        evaluation["calibration"] = calibration_of(rows, rule, types, weights)
    if rows:
        f1, passed = f1_by_share(rows, rule, Budget(**fusion["budget"]))
        share = [i / len(rows) for i in range(len(f1))]
        evaluation["budget"] = {"share": share, "f1": f1, "exact": {"share": share[passed], "f1": f1[passed]}}
    write_json(run.path("evaluation.json"), evaluation)
    for name, content in (tables(evaluation) if evaluation else {}).items():
        with replacing(run.path("tables", name)) as stream:
            stream.write(content.encode())
    write_report(
        run.path("report.html"),
        title=title,
        evaluation=evaluation,
        fusion=fusion,
        run=about,
        samples=samples(tagged) if tagged else [],
    )
    return evaluation


def samples(tagged: Place) -> list[Sample]:
    """The beginnings of the first documents, cut after a sentence."""
    out = []
    for document in islice(iter_documents(tagged), SAMPLE_DOCUMENTS):
        ends = [end for _, end in sentences(document.text[: 4 * SAMPLE_CHARS])]
        cut = max((end for end in ends if end <= SAMPLE_CHARS), default=ends[0] if ends else 0)
        inside = [entity for entity in document.entities if entity["end"] <= cut]
        out.append(Sample(document.doc_id, document.text[:cut], inside))
    return out
