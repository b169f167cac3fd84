"""The report of a run is put together from what lies in its folder."""

import pytest

from rayner.corpus.prediction_tables import predictions_to_table
from rayner.corpus.tables import write_table
from rayner.evaluation.artifact import Evaluation
from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.artifact import TunedFusion
from rayner.fusion.budget import fit_budget
from rayner.fusion.calibration import Calibration, calibration_features
from rayner.fusion.lexicon import Lexicon
from rayner.fusion.logistic import fit_logistic_weights
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.span_rule import SpanRule
from rayner.fusion.weight_search import WeightCurve
from rayner.report.run_report import MAX_SAMPLE_CHARS, MAX_SAMPLES, evaluate_and_write_report, read_samples
from rayner.runs.run_folder import Run, read_json, write_json
from rayner.runs.step_manifest import StepManifest
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.report.synthetic import TYPES, rows

RULE = RegionRule(0.2)


def decisions_of(scored):
    return [(decision, row) for row in scored for decision in RULE.fuse(row.slm, row.llm) if decision.llm_consulted]


def fitted(scored):
    pairs = decisions_of(scored)
    features = [calibration_features(decision) for decision, _ in pairs]
    return fit_logistic_weights(features, [decision.span in row.gold for decision, row in pairs])


def test_bins_hold_every_entity_once_and_lie_where_their_mean_does():
    scored = rows(40, seed=2)
    bins = evaluate_calibration(scored, RULE, TYPES, Calibration(with_llm=fitted(scored)))["fused"].bins
    pairs = decisions_of(scored)
    assert sum(b.n for b in bins) == len(pairs)
    assert all(b.low <= b.mean <= b.high for b in bins)
    right = sum(decision.span in row.gold for decision, row in pairs)
    assert sum(b.n * b.right for b in bins) == pytest.approx(right)
    # The model was fitted on these very entities, with a constant: on the whole it must be right as often as it says.
    assert sum(b.n * b.mean for b in bins) == pytest.approx(right, rel=0.02)
    assert len(bins) > 1


def tuned_fusion():
    """The fusion of a run in which the rule by regions won."""
    curve = WeightCurve(
        RULE.entropy_reduction, RULE.llm_reduction, RULE.llm_confidence, (0.1, 0.2, 0.3), (0.5, 0.6, 0.5), 0.2, 0.6
    )
    return TunedFusion(
        chosen="regions",
        region_rule=RULE,
        span_rule=SpanRule.unfitted(TYPES, Lexicon({}, {})),
        custom_rules={},
        held_out_f1={"regions": 0.6, "spans": 0.5},
        baseline_f1={"slm": 0.5, "llm": 0.5, "fused": 0.6},
        softmax_over="allowed",
        calibration=Calibration(with_llm=tuple(fitted(rows(20))), slm_alone=(0.0, 0.0)),
        budget=fit_budget(rows(20), RULE),
        curves=(curve,),
    )


def test_samples_are_the_beginnings_of_the_first_documents_cut_after_a_sentence(tmp_path):
    sentence = "懷王入秦，楚人哀之。"
    long = sentence * 300
    texts = {"a": long, "b": "短", "c": "", "d": "第四"}
    starts = range(0, len(long), len(sentence))
    write_unit(
        tmp_path, "u.parquet", [document(name, text) for name, text in texts.items()],
        [entity("a", start, "懷王") for start in starts],
    )  # fmt: skip
    found = read_samples(tmp_path)
    assert [sample.title for sample in found] == ["a", "b", "c"]
    assert len(found) == MAX_SAMPLES
    assert [sample.text for sample in found[1:]] == ["短", ""]
    cut = len(found[0].text)
    assert long.startswith(found[0].text)
    assert cut % len(sentence) == 0
    assert MAX_SAMPLE_CHARS - len(sentence) < cut <= MAX_SAMPLE_CHARS
    assert [e["start"] for e in found[0].entities] == [start for start in starts if start < cut]


def test_a_first_sentence_longer_than_a_sample_is_shown_whole(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("a", "楚" * (MAX_SAMPLE_CHARS + 50) + "。王")])
    assert read_samples(tmp_path)[0].text == "楚" * (MAX_SAMPLE_CHARS + 50) + "。"


@pytest.mark.parametrize("n_rows", [12, 0])
def test_a_report_is_written_with_and_without_test_sentences(tmp_path, n_rows):
    run, scored = Run(tmp_path), rows(n_rows)
    write_table(predictions_to_table(scored), run.path("scores", "test.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    fusion = tuned_fusion()
    evaluation = evaluate_and_write_report(
        run, fusion, RULE, title="甲 < 乙", run_facts={"counts": {"documents": 1}}, tagged=None, seed=1
    )
    path = run.path("evaluation.json")
    assert evaluation == Evaluation.from_json(read_json(path), path)
    assert bool(evaluation) == bool(n_rows)
    assert (evaluation.n_sentences if evaluation else 0) == n_rows
    page = run.path("report.html").read_text(encoding="utf-8")
    assert "甲 &lt; 乙" in page
    assert ("exact gate, " in page) == bool(n_rows)
    if n_rows:
        budget = evaluation.budget
        assert budget.f1[0] == evaluation.systems["slm"].micro.f1
        assert budget.f1[-1] == budget.exact.f1 == evaluation.systems["fused"].micro.f1
