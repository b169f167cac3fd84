"""Evaluate a run on its test sentences, and write its report."""

from dataclasses import replace
from itertools import islice

from rayner.corpus.prediction_tables import read_predictions
from rayner.corpus.review.estimate_file import read_estimate
from rayner.corpus.tables import iter_documents
from rayner.evaluation.artifact import EVALUATION_FILE, EVALUATION_REMEDY, Evaluation, empty_evaluation
from rayner.evaluation.evaluate import evaluate_fusion
from rayner.evaluation.llm_share_curve import f1_by_llm_share
from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.artifact import LoadedRules, TunedFusion
from rayner.fusion.control import RuleWithoutLlm
from rayner.report.csv_tables import evaluation_to_csv_tables
from rayner.report.methods import compose_methods_paragraph
from rayner.report.page import TaggedSample, write_report_page
from rayner.report.run_facts import RunFacts
from rayner.report.score_sentences import list_score_warnings
from rayner.runs.json_files import read_json, write_json
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, atomic_writer
from rayner.text.segmentation import split_sentences

MAX_SAMPLES = 3
MAX_SAMPLE_CHARS = 1200
_VOTE_COLUMNS = (
    "decided_by", "slm_type", "slm_entropy", "llm_type", "llm_category_prob", "llm_boundary_prob"
)  # fmt: skip


def evaluate_and_write_report(
    run: Run,
    fusion: TunedFusion,
    rules: LoadedRules,
    controls: LoadedRules | None,
    *,
    title: str,
    run_facts: RunFacts,
    tagged: StoragePath | None,
) -> Evaluation | None:
    """Score the test sentences, and write `evaluation.json`, `tables/*.csv` and `report.html`.

    Args:
        run: The run.
        fusion: The content of the run's `fusion.json`.
        rules: The rules of `fusion`.
        controls: The rules of `fusion.control`; None without an LLM.
        title: The title of the report.
        run_facts: The recorded facts of the run.
        tagged: The folder of the tagged corpus, from which the report shows samples. None without a corpus.

    Returns:
        The evaluation, or None if there are no test sentences.

    """
    segments = read_predictions(run.local_path("scores", "test.parquet"))
    evaluation = None
    if segments:
        types, seed = run.entity_types(), run_facts.seed
        chosen = rules.chosen if fusion.has_llm else RuleWithoutLlm(rules.chosen)
        evaluation = replace(
            evaluate_fusion(segments, rules, controls, types, seed=seed),
            calibration=evaluate_calibration(segments, chosen, types, fusion.calibration),
            budget=f1_by_llm_share(segments, rules.chosen, fusion.budget) if fusion.budget else None,
        )
    write_json(run.path(EVALUATION_FILE), evaluation.to_json() if evaluation else empty_evaluation())
    for name, content in (evaluation_to_csv_tables(evaluation) if evaluation else {}).items():
        with atomic_writer(run.path("tables", name)) as stream:
            stream.write(content.encode())
    write_report_page(
        run.path("report.html"),
        title=title,
        evaluation=evaluation,
        fusion=fusion,
        facts=run_facts.to_json(),
        methods=compose_methods_paragraph(run_facts, fusion, evaluation),
        samples=read_document_beginnings(tagged, with_votes=run_facts.asks_llm) if tagged else [],
        estimate=read_estimate(tagged) if tagged else None,
        warnings=[*run_facts.warnings(), *list_score_warnings(evaluation, run_facts.new_names)],
        asks_llm=run_facts.asks_llm,
        novelty=run_facts.novelty,
    )
    return evaluation


def read_evaluation(run: Run) -> Evaluation | None:
    """Read the run's `evaluation.json`.

    Raises ConfigError if another version of rayner wrote it, DamagedFileError if it is damaged.
    """
    path = run.path(EVALUATION_FILE)
    return Evaluation.from_json(read_json(path, EVALUATION_REMEDY), path)


def read_document_beginnings(tagged: StoragePath, *, with_votes: bool = True) -> list[TaggedSample]:
    """Return the beginnings of the first documents. Each beginning ends at the end of a sentence.

    with_votes: whether the entities show who decided, and the votes of both models.
    """
    samples = []
    for document in islice(iter_documents(tagged), MAX_SAMPLES):
        sentence_ends = [end for _, end in split_sentences(document.text[: 4 * MAX_SAMPLE_CHARS])]
        first_end = sentence_ends[0] if sentence_ends else 0
        cut = max((end for end in sentence_ends if end <= MAX_SAMPLE_CHARS), default=first_end)
        entities = [
            {name: value for name, value in entity.items() if with_votes or name not in _VOTE_COLUMNS}
            for entity in document.entities
            if entity["end"] <= cut
        ]
        samples.append(TaggedSample(document.doc_id, document.text[:cut], entities))
    return samples
