"""The main job from end to end, small: real Ray, two workers in each training, and every number proved."""

import hashlib
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, product

import numpy as np
import pytest

from rayner import __version__
from rayner.config.corpus_settings import CorpusConfig
from rayner.config.loading import load_config
from rayner.config.settings import config_to_dict, json_digest
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import read_labelled_sentences
from rayner.corpus.prediction_tables import read_predictions
from rayner.corpus.run_record import read_run_record
from rayner.errors import ConfigError, TooManySetAsideError
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.fusion.budget import Budget, fit_budget
from rayner.fusion.character_rule import CharacterRule
from rayner.fusion.conflict_regions import ENTROPY_REDUCTIONS, LLM_CONFIDENCES, LLM_REDUCTIONS
from rayner.fusion.control import with_empty_answer
from rayner.fusion.gate import first_closed_slot
from rayner.fusion.learned.span_rule import fit_span_rule
from rayner.llm.adapter import check_and_measure_adapter, compute_adapter_shapes
from rayner.runs.json_files import read_checked_json, read_json, write_checked_json
from rayner.runs.run_folder import SETTINGS_FILE, Run, file_sha256, folder_sha256
from rayner.steps.data import read_part
from rayner.steps.forecast.remaining_steps import list_run_steps
from rayner.steps.fusion_rules import load_rules, read_tuned_fusion, write_tuned_fusion
from rayner.steps.llm_loading import load_llm
from rayner.steps.pipeline import STEPS as STEPS_OF_JOB
from rayner.steps.pipeline import run_pipeline
from rayner.steps.preflight import check_and_describe_pipeline
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.training.train_llm import train_llm
from rayner.text.segmentation import split_segments, split_sentences
from tests.cluster.small import copied, labelled_sentences, readable_texts, rows_of, stamps, with_settings

pytestmark = pytest.mark.slow

STEPS = ("data", "train_slm", "build_index", "train_llm", "score", "tune_fusion", "tag_corpus")
TAGGED = ("tagged/documents", "tagged/entities", "tagged/segments")
KEPT = ("data", "models", "index", "scores", "steps", "fusion.json", *TAGGED, "tagged/plan", "tagged/steps")


@pytest.fixture(scope="module")
def out(run):
    return run.path("tagged")


@pytest.fixture(scope="module")
def documents(out):
    return {row["doc_id"]: row for row in rows_of(out, "documents")}


@pytest.fixture(scope="module")
def entities(out):
    return rows_of(out, "entities")


@pytest.fixture(scope="module")
def segments(out):
    return rows_of(out, "segments")


@pytest.fixture(scope="module")
def parts(run):
    return {name: read_labelled_sentences(run.path("data", f"{name}.jsonl")) for name in ("train", "dev", "test")}


@pytest.fixture(scope="module")
def scores(run):
    return {name: read_predictions(run.path("scores", f"{name}.parquet")) for name in ("dev", "test")}


# ---- labelled data, index, models


def test_the_parts_are_the_labelled_sentences_each_once(parts):
    assert Counter(e for part in parts.values() for e in part) == Counter(labelled_sentences())


def test_no_text_stands_in_two_parts_nor_a_held_out_one_in_the_index(run, parts):
    held = {name: {e.text for e in part} for name, part in parts.items()}
    assert min(map(len, held.values())) >= 20
    assert not held["train"] & held["dev"]
    assert not (held["train"] | held["dev"]) & held["test"]
    assert read_labelled_sentences(run.path("index", "examples.jsonl")) == parts["train"]


def test_the_adapter_is_not_empty_and_moved_and_the_base_is_beside_it(run, config):
    shapes = compute_adapter_shapes(run.path("models", "llm", "base"), config.llm.lora)
    proved = check_and_measure_adapter(run.path("models", "llm", "adapter"), shapes)
    layers, linear = config.llm.scratch.layers, 7  # q, k, v, o; gate, up, down
    assert proved["adapted_modules"] == layers * linear
    assert run.step_result("train_llm")["lora"].items() >= proved.items()
    saved = read_json(run.path("models", "llm", "llm.json"))
    assert (saved["base"], saved["adapter"], saved["instruction"]) == ("base", "adapter", "")
    assert load_llm(config, run).types == saved["types"] == run.step_result("data")["types"]


def test_losses_are_numbers_and_the_held_out_f1_is_one(run):
    facts = run.step_result("train_llm")
    assert all(math.isfinite(facts[stage]["loss"]) for stage in ("full", "lora"))
    assert 0 < run.step_result("train_slm")["dev_f1"] <= 1


# ---- scores, fusion


def test_every_held_out_sentence_is_scored_by_both_models_once_and_in_order(scores, parts):
    for name, rows in scores.items():
        assert [(row.text, row.gold) for row in rows] == [(e.text, e.spans) for e in parts[name]]
        for row in rows:
            assert row.error is None
            assert len(row.slm.entropy) == len(row.text)
            assert len(row.llm.slot_probs) == len(row.text) + 1
            assert row.llm.passes > 0


def test_fusion_holds_the_whole_curve_of_every_reduction_and_the_best_point_of_all(run, config, scores):
    fusion = read_tuned_fusion(run)
    ways = [(c.entropy_reduction, c.llm_reduction, c.llm_confidence) for c in fusion.curves]
    assert sorted(ways) == sorted(product(ENTROPY_REDUCTIONS, LLM_REDUCTIONS, LLM_CONFIDENCES))
    grid = np.linspace(config.fusion.weight_min, config.fusion.weight_max, config.fusion.weight_steps)
    for curve in fusion.curves:
        assert list(curve.weights) == pytest.approx(grid.tolist(), abs=1e-6)
        assert len(curve.f1) == config.fusion.weight_steps
        assert curve.best_f1 == pytest.approx(max(curve.f1), abs=1e-6)
    assert fusion.baseline_f1["fused"] == max(curve.best_f1 for curve in fusion.curves)
    rule = fusion.region_rule
    types = run.step_result("data")["types"]
    gold = [row.gold for row in scores["dev"]]
    answers = {
        "slm": [row.slm.spans for row in scores["dev"]],
        "llm": [row.llm.spans for row in scores["dev"]],
        "fused": [[d.span for d in rule.fuse(row.slm, row.llm)] for row in scores["dev"]],
    }
    for name, found in answers.items():
        assert fusion.baseline_f1[name] == pytest.approx(micro_score(count_entities(gold, found, types)).f1)
    assert fusion.softmax_over == config.llm.softmax_over


def test_the_rule_by_characters_has_the_lambda_of_the_highest_f1_of_its_own_output(run, config, scores):
    fusion, types = read_tuned_fusion(run), run.step_result("data")["types"]
    assert set(fusion.held_out_f1) == {"characters", "regions", "spans"}

    def dev_f1(weight):
        rule = replace(fusion.character_rule, weight=weight)
        fused = [rule.fuse_tags(row.slm, row.llm).spans for row in scores["dev"]]
        return micro_score(count_entities([row.gold for row in scores["dev"]], fused, types)).f1

    grid = np.linspace(config.fusion.weight_min, config.fusion.weight_max, config.fusion.weight_steps)
    assert fusion.character_rule.weight in grid
    assert dev_f1(fusion.character_rule.weight) == max(map(dev_f1, grid.tolist()))
    evaluation = read_json(run.path("evaluation.json"))["systems"]
    test = [fusion.character_rule.fuse_tags(row.slm, row.llm) for row in scores["test"]]
    counts = count_entities([row.gold for row in scores["test"]], [decoded.spans for decoded in test], types)
    assert evaluation["fused_characters"]["micro"]["f1"] == micro_score(counts).f1
    assert evaluation["fused_characters"]["illegal"] == sum(decoded.n_faults for decoded in test)


def test_the_control_is_fitted_on_empty_answers_and_stands_beside_the_fusion(run, scores):
    fusion, types = read_tuned_fusion(run), run.step_result("data")["types"]
    assert set(fusion.control.held_out_f1) == set(fusion.held_out_f1)
    assert fusion.baseline_f1["control"] == fusion.control.held_out_f1[fusion.control.chosen]
    worth = fusion.llm_worth
    assert worth.interval[0] <= worth.difference <= worth.interval[1]
    baselines = [fusion.baseline_f1[name] for name in ("fused", "control")]
    assert [worth.fused_f1, worth.control_f1] == pytest.approx(baselines)
    assert worth.n_sentences == len(scores["dev"])
    dev = [with_empty_answer(row) for row in scores["dev"]]
    lexicon = fusion.control.span_rule.lexicon
    again = fit_span_rule(dev, fusion.control.span_rule.types, lexicon)
    assert fusion.control.span_rule.weights == pytest.approx(again.weights)
    assert fusion.control.span_rule.weights != fusion.span_rule.weights
    evaluation = read_json(run.path("evaluation.json"))
    control = load_rules(fusion.control).chosen
    found = [[d.span for d in control.decide(with_empty_answer(row))] for row in scores["test"]]
    counts = count_entities([row.gold for row in scores["test"]], found, types)
    assert evaluation["systems"]["control"]["micro"]["f1"] == micro_score(counts).f1
    record = read_run_record(run.path("tagged"))
    assert record.llm_worth == worth, "it is measured once"
    assert record.asks_llm
    assert record.llm in read_json(run.path("pipeline.json"))["llm"]
    assert worth.describe() == run.step_result("tune_fusion")["llm_worth"]


# ---- the tagged corpus


def test_every_readable_file_is_a_document_with_its_text_unchanged(documents, out):
    texts = readable_texts()
    assert {doc_id: row["text"] for doc_id, row in documents.items()} == texts
    assert len(rows_of(out, "documents")) == len(texts)
    for doc_id, row in documents.items():
        assert row["n_chars"] == len(texts[doc_id])
        assert row["sha256"] == hashlib.sha256(texts[doc_id].encode()).hexdigest() == file_sha256(row["path"])


def test_the_file_that_is_not_utf_8_is_named_as_unread_with_its_line(run, config):
    bad = f"{config.corpus.path}/壞.txt"
    for unread in (
        Run(run.path("tagged")).step_result("tag_corpus")["unread"],
        read_json(run.path("tagged", "run.json"))["unread"],
    ):
        assert list(unread) == [bad]
        assert unread[bad].startswith(f"{bad}:2: expected UTF-8")
    assert "壞.txt" in run.path("report.html").read_text(encoding="utf-8")


def test_the_file_that_is_no_text_is_counted_and_named_as_ignored(run):
    for ignored in (
        Run(run.path("tagged")).step_result("tag_corpus")["ignored"],
        read_json(run.path("tagged", "run.json"))["ignored"],
        read_json(run.path("pipeline.json"))["ignored"],
    ):
        assert ignored == {".md": {"files": 1, "first": ["不讀.md"]}}
    assert "不讀.md" in run.path("report.html").read_text(encoding="utf-8")


def test_the_segments_of_each_document_are_its_sentences(segments, documents):
    for doc_id, row in documents.items():
        own = [(s["start"], s["end"]) for s in segments if s["doc_id"] == doc_id]
        assert own == [(s.start, s.end) for s in split_segments(row["text"], 400)]
        assert {end for _, end in own} >= {end for _, end in split_sentences(row["text"])}
    assert {s["doc_id"] for s in segments} <= set(documents)
    assert max(s["end"] - s["start"] for s in segments) <= 400
    assert max(end - start for row in documents.values() for start, end in split_sentences(row["text"])) > 700


def test_units_are_many_and_a_document_goes_on_over_several(segments):
    assert len({s["unit"] for s in segments}) >= 4
    assert len({s["unit"] for s in segments if s["doc_id"] == "書/一"}) >= 2


def test_the_three_folders_hold_files_of_the_same_names(out, segments):
    names = [sorted(path.name for path in (out / table).glob("*")) for table in ("documents", "entities", "segments")]
    assert names[0] == names[1] == names[2]
    assert {name.removesuffix(".parquet") for name in names[0]} >= {s["unit"] for s in segments}


def test_entities_are_what_the_text_holds_there_and_do_not_overlap(entities, documents, run):
    assert len(entities) > 20
    types = set(run.step_result("data")["types"])
    for e in entities:
        assert documents[e["doc_id"]]["text"][e["start"] : e["end"]] == e["text"] != ""
        assert e["type"] in types
    for doc_id in documents:
        own = [(e["start"], e["end"]) for e in entities if e["doc_id"] == doc_id]
        assert all(a[1] <= b[0] for a, b in pairwise(own))


def test_entities_lie_each_in_one_segment_of_the_same_unit(entities, segments):
    by_doc = {}
    for s in segments:
        by_doc.setdefault(s["doc_id"], []).append(s)
    for e in entities:
        own = by_doc[e["doc_id"]]
        home = own[bisect_right([s["start"] for s in own], e["start"]) - 1]
        assert e["end"] <= home["end"]
        assert e["unit"] == home["unit"]


def test_who_decided_agrees_with_what_both_models_said(entities, segments):
    gated = {(s["doc_id"], s["start"]): s["gated"] for s in segments}
    starts = {}
    for s in segments:
        starts.setdefault(s["doc_id"], []).append(s["start"])
    for e in entities:
        own = starts[e["doc_id"]]
        alone = gated[e["doc_id"], own[bisect_right(own, e["start"]) - 1]]
        assert e["decided_by"] in (("slm",) if alone else ("agree", "slm", "llm"))
        assert e["score"] is None or 0 <= e["score"] <= 1
        assert e["slm_entropy"] >= 0
        if e["decided_by"] == "agree":
            assert e["slm_type"] == e["llm_type"] == e["type"]
        elif e["decided_by"] == "llm":
            assert e["llm_type"] == e["type"]
        else:
            assert e["slm_type"] == e["type"]
        assert (e["llm_type"] is None) == (e["llm_category_prob"] is None) == (e["llm_boundary_prob"] is None)


def test_the_llm_passes_over_exactly_the_segments_that_are_not_gated(segments, documents):
    for s in segments:
        assert s["error"] is None
        assert (s["passes"] == 0) == s["gated"]
        if not documents[s["doc_id"]]["text"][s["start"] : s["end"]].strip():
            assert s["gated"]
    assert any(s["gated"] for s in segments if s["doc_id"] == "白")


def test_counts_add_up_and_are_those_of_the_tables(out, run, documents, entities, segments):
    counts = read_json(out / "run.json")["counts"]
    texts = readable_texts()
    assert counts["documents"] == len(documents) == len(texts)
    assert counts["characters"] == sum(map(len, texts.values())) == sum(s["end"] - s["start"] for s in segments)
    assert counts["segments"] == len(segments)
    assert counts["gated"] == sum(s["gated"] for s in segments)
    assert counts["passes"] == sum(s["passes"] for s in segments)
    assert counts["set_aside"] == sum(s["error"] is not None for s in segments) == 0
    assert counts["entities"] == len(entities) == sum(counts["decided_by"].values())
    assert counts["decided_by"] == Counter(e["decided_by"] for e in entities)
    exported = Run(out).step_result("evahan")
    assert exported["documents"] == len(documents)
    assert exported["entities"] == len(entities)
    assert 0 < counts["unknown_share"] < 1  # the corpus holds characters that no training sentence does
    facts = read_json(run.path("pipeline.json"))
    assert facts["counts"].items() >= counts.items()
    trained = {s.text[e.start : e.end] for s in read_part(run, "train") for e in s.spans}
    new = sum(entity["text"] not in trained for entity in entities)
    assert facts["new_names"] == {"tagged": len(entities), "new": new}
    novelty = facts["novelty"]["corpus"]
    assert 0 < novelty["new_characters"] < novelty["characters"] <= counts["characters"]
    assert 0 < novelty["new_bigrams"] < novelty["bigrams"] < novelty["characters"]


def test_run_json_says_what_the_corpus_was_made_with(out, run, config):
    saved = read_json(out / "run.json")
    assert saved["config"] == json.loads(json.dumps(config_to_dict(config)))
    assert saved["config_digest"] == json_digest(config_to_dict(config))
    assert saved["version"] == __version__
    assert saved["models"] == {
        "train_slm": folder_sha256(run.path("models", "slm")),
        "build_index": folder_sha256(run.path("index")),
        "train_llm": folder_sha256(run.path("models", "llm")),
    }
    fusion = read_tuned_fusion(run)
    assert fusion.chosen == "regions"
    assert saved["rule"] == {"kind": "regions", **fusion.region_rule.to_json()}
    assert saved["inputs"] == read_json(run.path("tagged", "steps", "tag_corpus.json"))["inputs"]
    assert saved["seconds"] > 0


def test_the_evahan_export_reads_back_as_the_same_characters_and_entities(out, documents, entities):
    for doc_id, row in documents.items():
        text = row["text"]
        # An offset in the export: line breaks (\n, and \r before it) are no characters there.
        breaks = [i for i, c in enumerate(text) if c == "\n" or text[i : i + 2] == "\r\n"]
        kept = [i - sum(b < i for b in breaks) for i in range(len(text) + 1)]
        path = out / "evahan" / f"{doc_id}.txt"
        if not kept[-1]:
            assert path.read_bytes().strip(b"\n") == b""
            continue
        back = read_labelled_file(path)
        assert back.text == "".join(c for i, c in enumerate(text) if i not in breaks)
        own = [(kept[e["start"]], kept[e["end"]], e["type"]) for e in entities if e["doc_id"] == doc_id]
        assert [(s.start, s.end, s.type) for s in back.spans] == own


# ---- the report


class Page(HTMLParser):
    """Collects text and addresses; complains of elements that are not closed in order."""

    VOID = ("meta", "link", "br", "hr", "img", "input", "col", "wbr")

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_is_one_well_formed_page_with_the_scores_in_it(run):
    page = Page()
    page.feed(run.path("report.html").read_text(encoding="utf-8"))
    assert "labelled.txt → corpus" in run.path("report.html").read_text(encoding="utf-8")
    page.close()
    assert page.open == []
    assert not [address for address in page.addresses if not address.startswith(("#", "data:"))]
    fused = read_json(run.path("evaluation.json"))["systems"]["fused"]["micro"]["f1"]
    assert f"{100 * fused:.2f}" in "".join(page.text)


def test_the_evaluation_is_that_of_the_test_scores(run, scores):
    evaluation = read_json(run.path("evaluation.json"))
    rule = read_tuned_fusion(run).region_rule
    assert evaluation["n_sentences"] == len(scores["test"])
    assert evaluation["n_without_llm"] == 0
    right = predicted = 0
    for row in scores["test"]:
        found = {d.span for d in rule.fuse(row.slm, row.llm)}
        right, predicted = right + len(found & set(row.gold)), predicted + len(found)
    micro_ = evaluation["systems"]["fused"]["micro"]
    gold = sum(len(row.gold) for row in scores["test"])
    assert (micro_["right"], micro_["predicted"], micro_["gold"]) == (right, predicted, gold)


# ---- again, otherwise, interrupted


def test_what_only_resuming_needs_is_gone(run):
    left = {path.name for path in run.path("train").rglob("*") if path.is_file()}
    assert left <= {"status.json"}


def test_a_step_that_was_killed_before_it_had_removed_them_removes_them_when_it_is_called_again(run, config, tmp_path):
    again = copied(run, tmp_path, "data", "index", "models", "steps")
    left = again.path("train", "llm-full-0", "checkpoint_0")
    left.mkdir(parents=True)
    before = stamps(again.root, "models", "steps")
    assert train_llm(config, again) == run.step_result("train_llm")
    assert not left.parent.exists()
    assert stamps(again.root, "models", "steps") == before


def test_the_dry_run_knows_the_steps_and_finds_them_done(run, config):
    assert list_run_steps(with_settings(with_settings(config, "split", folds=2), "llm", hint="tags")) == list(
        STEPS_OF_JOB
    )
    lines = check_and_describe_pipeline(config, run)
    assert f"tagged corpus: {run.path('tagged')}, done" in lines
    assert lines[-1] == "ready: nothing is left to do"
    again = check_and_describe_pipeline(with_settings(config, "gate", share=0.5), run)
    assert any(
        re.match(r"tagged corpus: .*, fused again, because gate\.share was 1(\.0)?, is 0\.5$", line) for line in again
    )
    assert again[-1].startswith("ready: ")
    with pytest.raises(ConfigError, match=r"train_slm was made from other inputs \(slm\.epochs was 6, is 7\)"):
        check_and_describe_pipeline(with_settings(config, "slm", epochs=7), run)


def test_again_all_steps_are_skipped_and_nothing_changes(run, config):
    before = stamps(run.root, *KEPT)
    assert len(before) > 30
    run_pipeline(config, run)
    assert stamps(run.root, *KEPT) == before
    assert set(read_json(run.path("pipeline.json"))["timings"]) == {*STEPS, "this_call", "peak_memory_mib"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda c: with_settings(c, "slm", epochs=7), "slm.epochs was 6, is 7"),
        (lambda c: with_settings(c, "split", dev=0.2), "split.dev was 0.1, is 0.2"),
        (lambda c: with_settings(c, "index", k=2), "index.k was 1, is 2"),
        (lambda c: with_settings(c, "llm", loss_over="all"), "llm.loss_over was 'allowed', is 'all'"),
        (lambda c: with_settings(c, "score", unit_chars=401), "score.unit_chars was 400, is 401"),
        (lambda c: with_settings(c, "fusion", weight_steps=102), "fusion.weight_steps was 101, is 102"),
        (lambda c: with_settings(c, "prompt", group=2), "prompt.group was 1, is 2"),
    ],
)
def test_other_settings_are_refused_naming_the_key_and_nothing_changes(run, config, change, key):
    before = stamps(run.root, *KEPT)
    with pytest.raises(ConfigError) as caught:
        run_pipeline(change(config), run)
    assert key in str(caught.value)
    assert stamps(run.root, *KEPT) == before


def test_another_corpus_is_refused_naming_it(run, config, tmp_path):
    (tmp_path / "a.txt").write_text("楚", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"another corpus.*a\.txt is new"):
        tag_corpus(replace(config, corpus=CorpusConfig(str(tmp_path / "a.txt"))), run)


def test_settings_that_change_no_result_are_not_held_against_a_run(run, config):
    before = stamps(run.root, *KEPT)
    other = with_settings(with_settings(config, "tag", max_set_aside=0.5), "fusion", max_concurrent_trials=2)
    run_pipeline(other, run)
    assert stamps(run.root, *KEPT) == before
    assert load_config(run.path(SETTINGS_FILE)) == other


def test_too_much_set_aside_ends_with_a_budget_error_after_the_report(run, config, tmp_path):
    mine = copied(run, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json", "tagged")
    manifest = read_checked_json(mine.path("tagged", "steps", "tag_corpus.json"))
    manifest["result"]["counts"]["set_aside"] = 3
    write_checked_json(mine.path("tagged", "steps", "tag_corpus.json"), manifest)
    with pytest.raises(TooManySetAsideError, match=f"3 of {manifest['result']['counts']['segments']} segments"):
        run_pipeline(config, mine)
    assert mine.path("report.html").exists()
    assert mine.path("pipeline.json").exists()
    run_pipeline(with_settings(config, "tag", max_set_aside=1.0), mine)


def test_a_unit_that_was_lost_is_made_again_alike_and_no_other_is_touched(run, config, tmp_path):
    mine = copied(run, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json", "tagged")
    lost = mine.path("tagged", "segments", "unit-000001.parquet")
    assert rows_of(mine.path("tagged"), "entities")
    before = stamps(mine.root, *TAGGED)
    lost.unlink()
    mine.path("tagged", "steps", "tag_corpus.json").unlink()
    tag_corpus(config, mine)
    after = stamps(mine.root, *TAGGED)
    assert {path: content for path, (_, content) in after.items()} == {p: content for p, (_, content) in before.items()}
    touched = {path for path in after if after[path][0] != before[path][0]}
    assert touched == {str(mine.path("tagged", table, lost.name)) for table in ("entities", "segments")}


@pytest.fixture(scope="module")
def half_gated(run, tmp_path_factory):
    """The run, with a lambda at which some segments are gated and some are not, in both rules that have one."""
    mine = copied(run, tmp_path_factory.mktemp("gated"), "data", "steps", "models", "index", "scores", "fusion.json")
    rows = [row for name in ("dev", "test") for row in read_predictions(mine.path("scores", f"{name}.parquet"))]
    fusion = read_tuned_fusion(mine)
    confidence = np.median([1 - fusion.region_rule.block_entropy(row.slm).max() for row in rows])
    rule = replace(fusion.region_rule, weight=float(confidence / math.e if confidence > 0 else confidence))
    assert 0 < sum(first_closed_slot(row.slm, rule.weight, rule.entropy_reduction) > 0 for row in rows) < len(rows)
    rules = {"region_rule": rule, "character_rule": CharacterRule(rule.weight), "budget": fit_budget(rows, rule)}
    write_tuned_fusion(mine, replace(fusion, **rules))
    return mine


@pytest.fixture(scope="module")
def half_gated_corpus(half_gated, config, tmp_path_factory):
    """What it makes of the corpus, by regions."""
    assert read_tuned_fusion(half_gated).chosen == "regions"
    return tagged_with(half_gated, config, tmp_path_factory.mktemp("gated") / "out")


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tagged_with(run, config, out, **sections):
    for section, values in sections.items():
        config = with_settings(config, section, **values)
    tag_corpus(replace(config, out=str(out)), run)
    return out


@pytest.mark.parametrize("rule", ["regions", pytest.param("characters", marks=pytest.mark.drill)])
def test_neither_gate_nor_drafts_nor_the_number_of_actors_change_the_tagged_corpus(
    half_gated, half_gated_corpus, config, tmp_path, documents, rule
):
    mine = copied(half_gated, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json")
    write_tuned_fusion(mine, replace(read_tuned_fusion(mine), chosen=rule))
    with_gate = half_gated_corpus if rule == "regions" else tagged_with(mine, config, tmp_path / "with")
    without = tagged_with(
        mine, config, tmp_path / "without", gate={"exact": False}, score={"draft": False, "actors": 2}
    )
    for table in ("documents", "evahan"):
        assert files_of(with_gate / table) == files_of(without / table)
    ours, theirs = (rows_of(out, "entities") for out in (with_gate, without))
    assert len(ours) > 20
    for one, other in zip(ours, theirs, strict=True):
        for key, value in one.items():  # every column, probabilities up to the rounding of other batches
            assert other[key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value)
    gated = {out: sum(s["gated"] for s in rows_of(out, "segments")) for out in (with_gate, without)}
    blank = sum(not row["text"][a:b].strip() for row in documents.values() for a, b in split_sentences(row["text"]))
    assert gated[without] == blank < gated[with_gate] < len(rows_of(with_gate, "segments"))
    passes = {out: sum(s["passes"] for s in rows_of(out, "segments")) for out in (with_gate, without)}
    assert passes[with_gate] < passes[without] / 3


def test_a_budget_asks_about_the_segments_that_are_worth_more_than_its_threshold(
    half_gated, half_gated_corpus, config, tmp_path
):
    mine = copied(half_gated, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json")
    whole = rows_of(half_gated_corpus, "segments")
    lengths = sorted(s["end"] - s["start"] for s in whole if not s["gated"])
    middle = lengths[len(lengths) // 2]
    budget = Budget((0.0,), (1.0,), (float(middle),) * 101)  # expected overturned tags: all characters
    write_tuned_fusion(mine, replace(read_tuned_fusion(mine), budget=budget))
    part = rows_of(tagged_with(mine, config, tmp_path / "part", gate={"share": 0.2}), "segments")
    for one, other in zip(whole, part, strict=True):
        assert other["gated"] == (one["gated"] or one["end"] - one["start"] <= middle)
    assert sum(s["gated"] for s in whole) < sum(s["gated"] for s in part) < len(part)


def test_neighbours_share_examples_within_their_document_whether_they_are_gated_or_not(half_gated, config, tmp_path):
    examples = {"group": 3}
    one = tagged_with(half_gated, config, tmp_path / "one", prompt=examples)
    other = tagged_with(half_gated, config, tmp_path / "other", prompt=examples, gate={"exact": False})
    assert files_of(one / "evahan") == files_of(other / "evahan")
