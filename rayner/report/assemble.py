"""The report of a run: what the test sentences say of both models and the fusion, and a page to look at."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from rayner.corpus.scored import read_scored
from rayner.corpus.tables import iter_documents
from rayner.ner import calibration
from rayner.ner.budget import Budget, f1_by_share
from rayner.ner.deciding import AnyRule, chosen, decide
from rayner.ner.rule import Rule
from rayner.ner.scores import Scored
from rayner.ner.segment import sentences
from rayner.report.evaluation import evaluate_fusion
from rayner.report.page import Sample, write_report
from rayner.run import Run, read_json, write_json
from rayner.storage import Place

SAMPLE_DOCUMENTS = 3
SAMPLE_CHARS = 1200
_BINS = 10


def make_report(run: Run, *, title: str, about: dict[str, Any], tagged: Place | None, seed: int) -> dict[str, Any]:
    """Score the test sentences, write `evaluation.json` and `report.html`; returns the evaluation.

    about: what the page tells of the run (inputs, counts, timings ...); tagged: the tagged corpus, for a sample.
    """
    fusion = read_json(run.path("fusion.json"))
    rule = chosen(fusion)
    rows = read_scored(run.local("scores", "test.parquet"))
    evaluation: dict[str, Any] = {}
    if rows:
        types = run.facts("data")["types"]
        evaluation = evaluate_fusion(rows, rule, types, seed=seed, regions=Rule(**fusion["rule"]))
    fusion["calibration"]["bins"] = reliability(rows, rule, fusion["calibration"]["with_llm"])
    if rows:
        f1, passed = f1_by_share(rows, rule, Budget(**fusion["budget"]))
        share = [i / len(rows) for i in range(len(f1))]
        evaluation["budget"] = {"share": share, "f1": f1, "exact": {"share": share[passed], "f1": f1[passed]}}
    write_json(run.path("evaluation.json"), evaluation)
    write_report(
        run.path("report.html"),
        title=title,
        evaluation=evaluation,
        fusion=fusion,
        run=about,
        samples=samples(tagged) if tagged else [],
    )
    return evaluation


def reliability(rows: Sequence[Scored], rule: AnyRule, weights: Sequence[float]) -> list[dict[str, float]]:
    """Calibrated scores of the fused entities against how many of them are right, in ten bins; empty bins left out."""
    pairs = [
        (calibration.probability(calibration.features(decision), weights), decision.span in row.gold)
        for row in rows
        for decision in decide(row, rule)
        if decision.consulted
    ]
    scores = np.array([score for score, _ in pairs if score is not None])
    right = np.array([good for score, good in pairs if score is not None])
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1) if len(scores) else np.zeros(0, dtype=int)
    return [
        {
            "low": i / _BINS,
            "high": (i + 1) / _BINS,
            "mean": float(scores[bins == i].mean()),
            "right": float(right[bins == i].mean()),
            "n": int((bins == i).sum()),
        }
        for i in range(_BINS)
        if (bins == i).any()
    ]


def samples(tagged: Place) -> list[Sample]:
    """The beginnings of the first documents, cut after a sentence."""
    out = []
    for document in islice(iter_documents(tagged), SAMPLE_DOCUMENTS):
        ends = [end for _, end in sentences(document.text[: 4 * SAMPLE_CHARS])]
        cut = max((end for end in ends if end <= SAMPLE_CHARS), default=ends[0] if ends else 0)
        inside = [entity for entity in document.entities if entity["end"] <= cut]
        out.append(Sample(document.doc_id, document.text[:cut], inside))
    return out
