"""The report of a run is written from the files of its folder."""

import re
from dataclasses import replace

import pytest

from rayner.config.loading import load_config
from rayner.config.settings import Config
from rayner.corpus.parquet_files import write_table
from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.prediction_tables import predictions_to_table
from rayner.corpus.scripts.recognition import ScriptComparison, ScriptCounts
from rayner.corpus.silent_models import SilentModel
from rayner.evaluation.reliability import evaluate_calibration
from rayner.fusion.budget import fit_budget
from rayner.fusion.calibration import Calibration, calibration_features
from rayner.fusion.control import LlmWorth
from rayner.fusion.learned.logistic import fit_logistic_weights
from rayner.fusion.region_rule import RegionRule
from rayner.fusion.weight_search import WeightCurve
from rayner.report.run_report import (
    MAX_SAMPLE_CHARS,
    MAX_SAMPLES,
    evaluate_and_write_report,
    read_document_beginnings,
    read_evaluation,
)
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.report.records import load_rules, make_fusion, make_fusion_without_llm, make_run_facts
from tests.report.synthetic import TYPES, rows

RULE = RegionRule(0.2)
RULES = load_rules(RULE)


def fuse_consulted(segments):
    """Return the fused entities about which the LLM was asked, each with its segment."""
    return [
        (entity, segment)
        for segment in segments
        for entity in RULE.fuse(segment.slm, segment.llm)
        if entity.llm_consulted
    ]


def fit_weights(segments):
    pairs = fuse_consulted(segments)
    features = [calibration_features(entity) for entity, _ in pairs]
    return fit_logistic_weights(features, [entity.span in segment.gold for entity, segment in pairs])


def test_reliability_bins_hold_each_entity_once_and_their_own_mean():
    segments = rows(40, seed=2)
    calibration = Calibration(with_llm=fit_weights(segments))  # no scores without the LLM
    bins = evaluate_calibration(segments, RULE, TYPES, calibration)["fused"].bins
    pairs = fuse_consulted(segments)
    assert sum(b.n for b in bins) == len(pairs)
    assert all(b.low <= b.mean <= b.high for b in bins)
    n_correct = sum(entity.span in segment.gold for entity, segment in pairs)
    assert sum(b.n * b.right for b in bins) == pytest.approx(n_correct)
    # The model was fitted on these entities, with a constant: its scores must add up to the number of correct ones.
    assert sum(b.n * b.mean for b in bins) == pytest.approx(n_correct, rel=0.02)
    assert len(bins) > 1


def tuned_fusion():
    reductions = (RULE.entropy_reduction, RULE.llm_reduction, RULE.llm_confidence)
    return make_fusion(
        RULE,
        calibration=Calibration(with_llm=tuple(fit_weights(rows(20))), slm_alone=(0.0, 0.0)),
        budget=fit_budget(rows(20), RULE),
        curves=(WeightCurve(*reductions, (0.1, 0.2, 0.3), (0.5, 0.6, 0.5), 0.2, 0.6),),
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
    samples = read_document_beginnings(tmp_path)
    assert [sample.title for sample in samples] == ["a", "b", "c"]
    assert len(samples) == MAX_SAMPLES
    assert [sample.text for sample in samples[1:]] == ["短", ""]
    cut = len(samples[0].text)
    assert long.startswith(samples[0].text)
    assert cut % len(sentence) == 0
    assert MAX_SAMPLE_CHARS - len(sentence) < cut <= MAX_SAMPLE_CHARS
    assert [e["start"] for e in samples[0].entities] == [start for start in starts if start < cut]


def test_a_first_sentence_longer_than_a_sample_is_shown_whole(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("a", "楚" * (MAX_SAMPLE_CHARS + 50) + "。王")])
    assert read_document_beginnings(tmp_path)[0].text == "楚" * (MAX_SAMPLE_CHARS + 50) + "。"


@pytest.mark.parametrize("n_rows", [12, 0])
def test_a_report_is_written_with_and_without_test_sentences(tmp_path, n_rows):
    run, segments = Run(tmp_path), rows(n_rows)
    write_table(predictions_to_table(segments), run.path("scores", "test.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    fusion = tuned_fusion()
    evaluation = evaluate_and_write_report(
        run,
        fusion,
        RULES,
        RULES,
        title="甲 < 乙",
        run_facts=make_run_facts(Config(seed=1)),
        tagged=None,
    )
    assert evaluation == read_evaluation(run)
    assert bool(evaluation) == bool(n_rows)
    assert (evaluation.n_sentences if evaluation else 0) == n_rows
    page = run.path("report.html").read_text(encoding="utf-8")
    assert "甲 &lt; 乙" in page
    assert ("exact gate, " in page) == bool(n_rows)
    if n_rows:
        budget = evaluation.budget
        assert budget.f1[0] == evaluation.systems["slm"].micro.f1
        assert budget.f1[-1] == budget.exact.f1 == evaluation.systems["fused"].micro.f1


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_model_that_found_nothing_is_the_first_thing_in_the_report(tmp_path, is_silent):
    run = Run(tmp_path)
    write_table(predictions_to_table(rows(12)), run.path("scores", "test.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    silent = {"dev": [], "corpus": [SilentModel("slm", 27925)]} if is_silent else {"dev": [], "corpus": []}
    facts = make_run_facts(Config(seed=1), silent_models=silent)
    evaluate_and_write_report(run, tuned_fusion(), RULES, RULES, title="甲", run_facts=facts, tagged=None)
    page = run.path("report.html").read_text(encoding="utf-8")
    warning = "The small model found no entity in 27,925 characters of the corpus: the tags are probably wrong."
    assert (warning in page) == is_silent
    assert ("小模型在语料的 27,925 个字中没有找到任何实体" in page) == is_silent
    if is_silent:
        assert page.index(warning) < page.index('id="scores"')
        assert facts.to_json()["warnings"][0].startswith(warning)
    else:
        assert "warnings" not in facts.to_json()


def test_another_script_and_markup_are_the_first_things_in_the_report_in_both_languages(tmp_path):
    run = Run(tmp_path)
    write_table(predictions_to_table(rows(12)), run.path("scores", "test.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    scripts = ScriptComparison(ScriptCounts(traditional=900), ScriptCounts(traditional=3, simplified=7000))
    facts = make_run_facts(Config(seed=1), scripts=scripts, markup=MarkupFiles(2, "a.txt", "<br/>"))
    evaluate_and_write_report(run, tuned_fusion(), RULES, RULES, title="甲", run_facts=facts, tagged=None)
    page = run.path("report.html").read_text(encoding="utf-8")
    for text in (
        "The labelled text is in traditional script, the corpus in simplified (3 characters of traditional script only",
        "标注文本为繁体，语料为简体（只用于繁体的字 3 个，只用于简体的字 7,000 个）",
        "2 texts hold markup such as &lt;br/&gt; (a.txt)",
        "有 2 个文本含有 &lt;br/&gt; 之类的标记",
    ):
        assert page.index(text) < page.index('id="scores"')
    assert len(facts.to_json()["warnings"]) == 2


def test_the_report_shows_how_free_answers_differ_from_a_copy_and_nothing_of_it_otherwise(tmp_path):
    for name, counts in (("free", {"dev": {"answers": 12, "changed": 7}}), ("automaton", {})):
        run = Run(tmp_path / name)
        write_table(predictions_to_table(rows(12)), run.path("scores", "test.parquet"))
        write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
        facts = make_run_facts(Config(seed=1), free_answers=counts)
        evaluate_and_write_report(run, tuned_fusion(), RULES, RULES, title="甲", run_facts=facts, tagged=None)
        page = run.path("report.html").read_text(encoding="utf-8")
        assert ("free_answers" in page) == ("dev.changed" in page) == (name == "free")
        assert facts.to_json().get("free_answers") == (counts or None)


def write_report(folder, fusion, facts, *, has_llm):
    """Write the report of a run on synthetic test sentences, and return its page."""
    run = Run(folder)
    segments = rows(12) if has_llm else [replace(row, llm=None) for row in rows(12)]
    write_table(predictions_to_table(segments), run.path("scores", "test.parquet"))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": list(TYPES)}).to_json())
    controls = RULES if has_llm else None
    evaluate_and_write_report(run, fusion, RULES, controls, title="甲", run_facts=facts, tagged=None)
    return run.path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("chosen", ["regions", "spans", "characters"])
def test_a_report_without_an_llm_says_so_and_speaks_of_none(tmp_path, chosen):
    config = load_config(None, ["llm.model=none"])
    fusion = make_fusion_without_llm(RULE, chosen=chosen, calibration=Calibration(slm_alone=(0.0, 0.0)))
    page = write_report(tmp_path, fusion, make_run_facts(config), has_llm=False)
    shown = re.sub(r'<script.*?</script>|<style.*?</style>|<section id="more".*?</section>', "", page, flags=re.S)
    chinese = " ".join(re.findall(r'data-zh="([^"]*)"', shown))
    assert "This run has no LLM." in shown
    assert "本次运行不使用大模型" in chinese
    words = re.sub(r"<[^>]*>", " ", shown).replace("This run has no LLM.", "")
    assert not re.findall(r".*(?:LLM|large model|[Ff]us|[Cc]ontrol|λ).*", words)
    assert "大模型" not in chinese.replace("本次运行不使用大模型", "")
    assert "融合" not in chinese


@pytest.mark.parametrize(
    ("interval", "asks", "verdict", "sentence"),
    [
        ((0.01, 0.03), True, "beyond chance.", "So tagging asks the LLM."),
        ((-0.01, 0.03), False, "cannot be told from chance.", "So tagging does not ask the LLM"),
        ((-0.01, 0.03), True, "cannot be told from chance.", "Tagging asks the LLM nevertheless"),
        ((-0.03, -0.01), False, "harms, beyond chance.", "So tagging does not ask the LLM"),
        (
            (0.01, 0.03),
            False,
            "beyond chance.",
            "Tagging does not ask the LLM nevertheless, because the settings say so",
        ),
    ],
)
def test_the_report_says_what_the_llm_is_worth_when_tuned_and_whether_it_is_asked(
    tmp_path, interval, asks, verdict, sentence
):
    worth = LlmWorth(1234, 0.8, 0.79, 0.01, interval)
    fusion, facts = replace(tuned_fusion(), llm_worth=worth), make_run_facts(Config(seed=1), asks_llm=asks)
    page = write_report(tmp_path, fusion, facts, has_llm=True)
    (said,) = re.findall(r'<p class="llm-use">(.*?)</p>', page, flags=re.S)
    said = re.sub(r"<[^>]*>", "", said)
    assert said.startswith("On the 1,234 held-out sentences: ")
    assert "+1.00 points" in said
    assert verdict in said
    assert sentence in said


def test_samples_show_no_votes_if_the_llm_was_not_asked(tmp_path):
    write_unit(tmp_path, "u.parquet", [document("a", "懷王入秦。")], [entity("a", 0, "懷王")])
    (with_votes,) = read_document_beginnings(tmp_path)[0].entities
    (without,) = read_document_beginnings(tmp_path, with_votes=False)[0].entities
    assert {"decided_by", "slm_type", "llm_type"} <= set(with_votes)
    assert not {"decided_by", "slm_type", "llm_type"} & set(without)
    assert without["score"] == with_votes["score"]
