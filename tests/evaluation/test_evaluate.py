import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from rayner.corpus.labelled_files import read_labelled_file
from rayner.errors import ConfigError, DataError
from rayner.evaluation.artifact import Evaluation, empty_evaluation
from rayner.evaluation.conflicts import judge_conflicts, select_disagreements, summarize_conflicts
from rayner.evaluation.evaluate import evaluate_files, evaluate_fusion
from rayner.evaluation.metrics import bootstrap_f1_interval, count_entities, micro_score
from rayner.evaluation.score_table import format_score_table
from rayner.fusion.conflict_regions import find_agreements_and_conflicts
from rayner.fusion.region_rule import RegionRule
from rayner.text.predictions import LlmAnswer, LlmEntity, SegmentPrediction, SlmPrediction
from rayner.text.spans import Span
from tests.report.records import load_rules
from tests.report.synthetic import TYPES, label_log_probs, labelled_lines, rows

RULE = RegionRule(0.35)
RULES = load_rules(RULE)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_fusion(rows(), RULES, RULES, TYPES, seed=3)


@pytest.fixture(scope="module")
def result(evaluation):
    return evaluation.to_json()


def test_same_numbers_as_the_metrics(result):
    data = rows()
    counts = count_entities([r.gold for r in data], [r.slm.spans for r in data], TYPES)
    slm = result["systems"]["slm"]
    assert slm["micro"]["f1"] == micro_score(counts).f1
    assert slm["interval"] == list(bootstrap_f1_interval(counts, seed=3))
    assert slm["per_type"]["NR"]["gold"] == 3 * len(data)
    assert result["paired"]["fused-slm"][0] == pytest.approx(
        result["systems"]["fused"]["micro"]["f1"] - slm["micro"]["f1"]
    )
    assert set(result["paired"]) == {
        "fused-control", "control-slm", "fused-slm", "fused-llm", "fused-fused_characters", "fused-fused_spans",
        "llm-slm", "fused_characters-control_characters", "fused_regions-control_regions", "fused_spans-control_spans",
    }  # fmt: skip
    assert (result["n_sentences"], result["distinct"]) == (40, 1)
    assert result["n_chars"] == sum(len(r.text) for r in data)


def test_json_and_determinism(result):
    assert json.loads(json.dumps(result)) == result
    assert evaluate_fusion(rows(), RULES, RULES, TYPES, seed=3).to_json() == result


def test_perfect_answers_score_one():
    data = [
        SegmentPrediction(r.doc_id, r.start, r.end, r.text, replace(r.slm, spans=r.gold), r.llm, r.gold)
        for r in rows(4)
    ]
    slm = evaluate_fusion(data, RULES, RULES, TYPES, seed=0).to_json()["systems"]["slm"]
    assert slm["micro"]["f1"] == slm["macro_f1"] == 1.0
    perfect = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "interval": [1.0, 1.0]}
    assert list(slm["token"].values()) == [perfect] * 4
    assert slm["interval"] == [1.0, 1.0]


def test_types_that_were_not_named_are_added():
    assert evaluate_fusion(rows(5), RULES, RULES, ["NR", "ZZ"], seed=0).to_json()["types"] == [
        "NR",
        "ZZ",
        "NG",
        "NS",
    ]


def test_without_llm_the_slm_stands_and_the_llm_has_nothing():
    data = [SegmentPrediction(r.doc_id, r.start, r.end, r.text, r.slm, None, r.gold) for r in rows(6)]
    result = evaluate_fusion(data, RULES, RULES, TYPES, seed=0).to_json()
    systems = result["systems"]
    assert result["n_without_llm"] == 6
    assert systems["fused"]["micro"] == systems["slm"]["micro"] == systems["fused_characters"]["micro"]
    assert systems["llm"]["micro"]["predicted"] == 0
    assert result["regions"]["n"] == 0
    assert result["disagreements"] == []


def test_no_rows():
    result = evaluate_fusion([], RULES, RULES, TYPES, seed=0)
    assert result.systems["fused"].interval == (0.0, 0.0)
    assert result.regions.oracle_f1 == 0.0
    assert format_score_table(result).startswith("0 sentences")


def test_illegal_steps_are_counted():
    spans = (Span(0, 2, "NR"),)
    slm = SlmPrediction(spans, np.array([0.0, 3.0], dtype=np.float32), label_log_probs(spans, 2))
    llm = LlmAnswer((), np.full(3, 0.99, dtype=np.float32))
    systems = evaluate_fusion([SegmentPrediction("d", 0, 2, "魏丞", slm, llm)], RULES, RULES, ["NR"], seed=0).to_json()[
        "systems"
    ]
    assert systems["fused_characters"]["illegal"] == 1
    assert systems["fused_characters"]["illegal_sentences"] == 1
    assert "illegal" not in systems["fused"]


def test_the_winner_of_each_region_is_the_side_that_fuse_takes():
    for row in rows(60):
        fused = {d.span for d in RULE.fuse(row.slm, row.llm)}
        for conflict in judge_conflicts([row], RULE):
            inside = {s for s in fused if s.start < conflict.region.end and conflict.region.start < s.end}
            assert inside == set(conflict.sides[conflict.winner])


def test_regions_add_up(result):
    r = result["regions"]
    assert r["slm_right"] + r["llm_right"] + r["both_wrong"] == r["n"] > 0
    assert r["fused_right"] <= r["slm_right"] + r["llm_right"]
    assert r["oracle_f1"] >= max(result["systems"][n]["micro"]["f1"] for n in ("slm", "llm", "fused_regions"))


@pytest.mark.parametrize("seed", range(5))
def test_oracle_is_the_best_of_all_choices(seed):
    data = rows(3, seed=seed)
    sides = [find_agreements_and_conflicts(r.slm.spans, r.llm.entities) for r in data]
    options = [
        [(set(region.slm_spans), {item.span for item in region.llm_entities}) for region in regions]
        for _, regions in sides
    ]
    best = 0.0
    for picks in itertools.product((0, 1), repeat=sum(map(len, options))):
        pick = iter(picks)
        answer = [
            [*agreed, *(s for option in group for s in option[next(pick)])]
            for (agreed, _), group in zip(sides, options, strict=True)
        ]
        best = max(best, micro_score(count_entities([r.gold for r in data], answer, TYPES)).f1)
    assert summarize_conflicts(data, judge_conflicts(data, RULE)).oracle_f1 == pytest.approx(best)


def test_disagreements_show_the_region_in_context(result):
    assert 0 < len(result["disagreements"]) <= 60
    originals = {row.doc_id: row for row in rows()}
    for item in result["disagreements"]:
        row = originals[item["doc_id"]]
        start, end = item["region"]
        assert item["text"] == row.text[item["start"] : item["start"] + len(item["text"])]
        assert 0 <= start < end <= len(item["text"])
        for s, e, kind in item["gold"]:
            assert Span(s + item["start"], e + item["start"], kind) in row.gold
        fused_there = [s for s in item["fused"] if s[0] < end and start < s[1]]
        assert fused_there == [s for s in item[item["winner"]] if s[0] < end and start < s[1]]
        assert item["right"] in ("slm", "llm", "neither")


def test_what_is_written_is_read_back(evaluation):
    tree = json.loads(json.dumps(evaluation.to_json()))
    assert Evaluation.from_json(tree, "evaluation.json") == evaluation
    assert Evaluation.from_json(empty_evaluation(), "evaluation.json") is None


@pytest.mark.parametrize("tree", [{}, {"format_version": 1}, {"systems": {}}])
def test_another_version_is_refused(tree):
    with pytest.raises(
        ConfigError, match=r"^run/evaluation.json: expected format_version 5, found .* or rerun the job"
    ):
        Evaluation.from_json(tree, "run/evaluation.json")


def test_disagreements_come_by_the_exact_margin():
    """2.718 in the place of e would put the second first: 1.7180 before 1.7181, in truth 1.7183."""
    rows_ = []
    for doc_id, prob, entropy in (("first", 1.0, 0.0), ("second", 0.0, 1.7181)):
        slm = SlmPrediction((Span(0, 1, "NR"),), np.array([entropy], dtype=np.float32))
        llm = LlmAnswer((LlmEntity(Span(0, 1, "NS"), prob, prob),), np.full(2, prob, dtype=np.float32))
        rows_.append(SegmentPrediction(doc_id, 0, 1, {"first": "楚", "second": "王"}[doc_id], slm, llm))
    rule = RegionRule(1.0, llm_confidence="entities")
    conflicts = judge_conflicts(rows_, rule, [slm.slm.spans for slm in rows_])
    for order in (conflicts, conflicts[::-1]):
        assert [shown.doc_id for shown in select_disagreements(order, rule)] == ["first", "second"]


def test_disagreements_spread_over_types_and_are_limited():
    data = rows(300, seed=9)
    # Texts are alike, and a region of a text is shown once: make them differ.
    data = [
        SegmentPrediction(
            r.doc_id, 0, r.end + 1, chr(0x4E00 + i) + r.text, _later(r.slm), _later_llm(r.llm), _later_gold(r.gold)
        )
        for i, r in enumerate(data)
    ]
    shown = select_disagreements(judge_conflicts(data, RULE), RULE, limit=25)
    assert len(shown) == 25
    about = [next(g for g in item.gold if g[0] < item.region[1] and item.region[0] < g[1])[2] for item in shown]
    assert set(about) == {"NG", "NR", "NS"}
    assert len({(item.right, item.winner) for item in shown}) >= 4


def _later(slm):
    return SlmPrediction(tuple(s.shift(1) for s in slm.spans), np.append(np.float32(0), slm.entropy))


def _later_llm(llm):
    items = tuple(type(i)(i.span.shift(1), i.category_prob, i.boundary_prob) for i in llm.entities)
    return LlmAnswer(items, np.append(np.float32(1), llm.slot_probs))


def _later_gold(gold):
    return tuple(s.shift(1) for s in gold)


def files(tmp_path, text, gold, predicted, other_text=None):
    out = []
    for name, content, spans in (("gold.txt", text, gold), ("mine.txt", other_text or text, predicted)):
        path = tmp_path / name
        path.write_text(labelled_lines(content, spans), encoding="utf-8")
        out.append(read_labelled_file(path))
    return out


def test_two_files(tmp_path):
    gold = [Span(0, 2, "NR"), Span(4, 5, "NS")]
    result = evaluate_files(
        *files(tmp_path, "懷王怒。楚使", gold, [Span(0, 2, "NR"), Span(4, 6, "NS")]), seed=0
    ).to_json()
    system = result["systems"]["predicted"]
    assert system["micro"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "right": 1, "predicted": 2, "gold": 2}
    assert (result["n_sentences"], result["n_chars"]) == (2, 6)
    assert result["types"] == ["NR", "NS"]
    assert result["faults"]["gold"]["no_begin"] == 0
    assert json.loads(json.dumps(result)) == result
    # Tags: B-NR and E-NR right; S-NS missed; B-NS and E-NS invented. Types: NR right; NS has one of two characters.
    assert system["token"]["tags_without_o"]["f1"] == pytest.approx(2 / 5)
    assert system["token"]["types_without_o"]["precision"] == pytest.approx((1 + 1 / 2) / 2)
    assert system["token"]["types_without_o"]["recall"] == 1.0


def test_an_entity_across_a_sentence_end_is_counted_once(tmp_path):
    spans = [Span(2, 5, "NB")]
    result = evaluate_files(*files(tmp_path, "讀詩。書也", spans, spans), seed=0).to_json()
    assert result["n_sentences"] == 2
    assert result["systems"]["predicted"]["micro"]["right"] == 1
    assert result["systems"]["predicted"]["micro"]["f1"] == 1.0


def test_different_texts_are_refused_with_the_place(tmp_path):
    gold, mine = files(tmp_path, "甲乙丙丁戊己庚辛壬癸子丑寅卯", [], [], "甲乙丙丁戊己庚辛壬癸子午寅卯")
    with pytest.raises(
        DataError, match=r"mine\.txt: expected the text of .*offset 11: .*'乙丙.*丑寅卯', found '乙丙.*午寅卯'"
    ):
        evaluate_files(gold, mine, seed=0)


def test_a_text_that_stops_early_is_refused(tmp_path):
    gold, mine = files(tmp_path, "甲乙丙丁", [], [], "甲乙")
    with pytest.raises(DataError, match="offset 2: expected '甲乙丙丁', found '甲乙'"):
        evaluate_files(gold, mine, seed=0)


def test_table_shows_the_numbers(evaluation, result):
    table = format_score_table(evaluation)
    for name, system in result["systems"].items():
        assert f"{100 * system['micro']['f1']:6.2f}" in table
        if "_" not in name:  # of other rules the table shows the micro scores only
            assert f"{100 * system['macro_f1']:6.2f}" in table
    assert f"{100 * result['paired']['fused-llm'][0]:+6.2f}" in table
    lines = [line for line in table.splitlines() if line.startswith(("NR", "all (micro)"))]
    assert len({line.index(".") for line in lines}) == 1
