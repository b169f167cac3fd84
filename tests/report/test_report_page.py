"""The HTML page of the report: whole, escaped, and with the numbers of the evaluation."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rayner.fusion.fused_entities import build_accepted_entities
from rayner.rendering.bilingual import BilingualText, same_in_both
from rayner.rendering.tagged_text import describe_entity, describe_rare_char, is_second_thought, split_by_entities
from rayner.rendering.type_styles import assign_type_colours
from rayner.report import fact_tables
from rayner.report.page import TaggedSample, format_percent, format_points, write_report_page
from rayner.text.spans import Span
from tests.report.records import make_evaluation, make_fusion
from tests.report.synthetic import rows
from tests.report.test_report_plots import RULE, curves

VOID = {"meta", "br", "img", "link", "input", "hr"}
ENTITY = {
    "start": 0, "end": 2, "type": "NR", "score": 0.91234, "decided_by": "llm", "slm_type": None, "llm_type": "NR",
    "slm_entropy": 0.5, "llm_category_prob": 0.75,
}  # fmt: skip


class Page(HTMLParser):
    """The elements and texts of a page; all elements must be closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words, self.style = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th", "dd", "dt"):
            self.words.append(" ")

    def handle_data(self, data):
        (self.style if self.open and self.open[-1] in ("style", "script") else self.words).append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def tags(self, name):
        return [attrs for tag, attrs in self.elements if tag == name]


def fusion(**changes):
    """A tuned fusion with a curve for each rule by regions."""
    return make_fusion(RULE, curves=curves(500), **changes)


RUN = {
    "inputs": [{"path": "A.txt", "role": "train"}, {"path": "卷一.txt", "characters": 12345}],
    "counts": {"documents": 3249, "kept": {"gated": 801221}},
    "timings": {"train": 12.345},
    "faults": {},
    "versions": {"python": "3.11.7"},
    "config": {"slm": {"lr": 2e-5}},
    "seed": 7,
}


@pytest.fixture(scope="module")
def evaluation():
    return make_evaluation()


def page(tmp_path, **parts):
    given = {"title": "T", "evaluation": None, "fusion": None, "facts": {}, "methods": None, "samples": []} | parts
    path = tmp_path / "report.html"
    write_report_page(path, **given)
    return Page(path.read_text(encoding="utf-8"))


def test_full_page_is_balanced_and_needs_nothing(tmp_path, evaluation):
    sample = TaggedSample("卷一", "懷王怒\n去。", [ENTITY])
    html = page(tmp_path, evaluation=evaluation, fusion=fusion(), facts=RUN, samples=[sample])
    for _, attrs in html.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert name not in attrs or attrs[name].startswith("#"), attrs
    assert "url(" not in "".join(html.style)
    assert "@import" not in "".join(html.style)
    assert not html.tags("link")
    ids = [attrs["id"] for _, attrs in html.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in html.tags("a")} <= set(ids)
    assert html.tags("html") == [{"lang": "en"}]
    assert [attrs["lang"] for attrs in html.tags("p") if attrs.get("class") == "passage"] == ["lzh"]
    assert len(html.tags("h1")) == len(html.tags("main")) == 1


def test_numbers_are_those_of_the_evaluation(tmp_path, evaluation):
    text = page(tmp_path, evaluation=evaluation, fusion=fusion(), facts=RUN).text
    for name, system in evaluation.systems.items():
        for share in (
            system.micro.f1, system.macro_f1, *(macro.precision for macro in system.token.by_name().values()),
            *(macro.recall for macro in system.token.by_name().values()),
        ):  # fmt: skip
            assert format_percent(share) in text
        for macro in system.token.by_name().values():
            assert format_percent(macro.f1) + "–".join(map(format_percent, macro.interval)) in text
        if name.startswith(("fused_", "control")):
            continue
        low, high = map(format_percent, system.interval)
        assert f"95% interval {low} to {high}" in text
        for score in system.per_type.values():
            assert format_percent(score.f1) + "–".join(map(format_percent, score.interval)) in text
    regions = evaluation.regions
    assert f"The models differ in {regions.n} regions" in text
    assert f"In {regions.slm_right + regions.llm_right} of them one model is correct" in text
    assert f"the correct entities in {regions.fused_right} of these" in text
    assert f"micro F1 of {format_percent(regions.oracle_f1)}." in text
    assert "SLM 80.12, LLM 79.34, fused 85.67" in text
    assert "λ = 0.25" in text
    for fact in ("documents 3,249", "kept.gated 801,221", "train 12.35", "python 3.11.7", "slm.lr 2e-05", "seed 7"):
        assert fact in text


def test_differences_in_words(tmp_path, evaluation):
    paired = {"fused-slm": (0.012, 0.003, 0.021), "fused-llm": (0.002, -0.005, 0.009),
              "llm-slm": (-0.02, -0.03, -0.01)}  # fmt: skip
    text = page(tmp_path, evaluation=replace(evaluation, paired=paired)).text
    assert "Fused scores 1.20 points higher than SLM, 95% interval +0.30 to +2.10." in text
    assert "No clear difference between fused and LLM: +0.20 points, 95% interval −0.50 to +0.90." in text
    assert "SLM scores 2.00 points higher than LLM, 95% interval +1.00 to +3.00." in text


def test_every_disagreement_is_there(tmp_path, evaluation):
    html = page(tmp_path, evaluation=evaluation)
    shown = [attrs for attrs in html.tags("article") if "conflict" in attrs.get("class", "")]
    assert len(shown) == len(evaluation.disagreements)


def test_a_page_without_anything(tmp_path):
    html = page(tmp_path)
    assert "no labelled test data" in html.text
    assert not html.tags("svg")
    assert not html.tags("mark")


@pytest.mark.parametrize("empty", [{"baseline_f1": {}}, {"held_out_f1": {}}, {"curves": ()}])
def test_parts_of_the_fusion_may_be_empty(tmp_path, empty):
    text = page(tmp_path, fusion=replace(fusion(), **empty)).text
    assert "The rule by conflict regions, which is not in the paper, compares the models on whole regions." in text
    assert ("The rule of the paper decides each character separately" in text) == ("held_out_f1" not in empty)
    assert ("Micro F1 on the held-out data" in text) == ("baseline_f1" not in empty)
    assert ("learned rule" in text) == ("held_out_f1" not in empty)
    assert ("Best λ" in text) == ("curves" not in empty)


def test_the_page_says_which_rule_was_chosen(tmp_path):
    f1 = {"characters": 0.7, "regions": 0.8, "spans": 0.9, "my_rule:RULE": 0.85}
    paper = page(tmp_path, fusion=fusion(chosen="characters", held_out_f1=f1)).text
    assert "The rule of the paper decides. Micro F1 on held-out data: this rule 70.00, rule by regions 80.00" in paper
    learned = page(tmp_path, fusion=fusion(chosen="spans", held_out_f1=f1)).text
    assert "A learned rule reached a higher micro F1 on held-out data (90.00; the rule by regions: 80.00)" in learned
    assert "Weights of the learned rule" in learned
    custom = page(tmp_path, fusion=fusion(chosen="my_rule:RULE", held_out_f1=f1)).text
    assert "The rule my_rule:RULE decides, with micro F1 85.00 on held-out data." in custom
    regions = page(tmp_path, fusion=fusion(held_out_f1=f1)).text
    assert "learned rule 90.00, this rule 80.00" in regions


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.01, 0.05), "beyond chance"), ((-0.01, 0.05), "this cannot be told from chance"), ((-0.05, -0.01), "it harms")],
)
def test_the_page_says_what_the_llm_is_worth_beside_its_control(tmp_path, evaluation, interval, verdict):
    changed = replace(evaluation, paired={**evaluation.paired, "fused-control": (0.0254, *interval)})
    text = page(tmp_path, evaluation=changed).text
    fused, control = (format_percent(evaluation.systems[name].micro.f1) for name in ("fused", "control"))
    low, high = map(format_points, interval)
    compared = f"(fused {fused}, control {control}, 95% interval {low} to {high})"
    assert f"The LLM is worth +2.54 points here {compared}: {verdict}" in text
    assert (
        "the same kind of fusion, fitted anew on the same held-out sentences with every answer of the LLM empty" in text
    )
    for rule in ("without the LLM", "by characters", "by regions", "by the learned rule"):
        assert f"control {rule}" in text


def test_an_evaluation_without_segments(tmp_path):
    assert "The two models agree everywhere" in page(tmp_path, evaluation=make_evaluation(n=0)).text


def test_sentences_without_an_llm_answer_are_counted(tmp_path, evaluation):
    text = page(tmp_path, evaluation=replace(evaluation, n_without_llm=3)).text
    assert "3 of the sentences have no answer" in text


def test_text_is_escaped(tmp_path, evaluation):
    evil = "<script>alert(1)</script>&\"'"
    first, *others = evaluation.disagreements
    changed = replace(evaluation, disagreements=(replace(first, doc_id=evil), *others))
    sample = TaggedSample(evil, evil, [{"start": 0, "end": 8, "type": evil}, {"start": 8, "end": 9, "type": "NR"}])
    facts = {"inputs": {evil: evil}, evil: {evil: [evil]}}
    html = page(tmp_path, title=evil, evaluation=changed, facts=facts, samples=[sample])
    scripts = html.tags("script")
    assert len(scripts) == 1
    assert not any("alert" in part for part in html.style)
    assert html.text.count("alert(1)") >= 6
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in raw


def test_copied_text_is_the_text(tmp_path):
    text = "  治傷寒，\n\ue123三兩\U00020000。"
    sample = TaggedSample("t", text, [{"start": 3, "end": 5, "type": "ZD"}, {"start": 7, "end": 8, "type": "ZP"}])
    path = tmp_path / "r.html"
    write_report_page(path, title="t", evaluation=None, fusion=None, facts={}, methods=None, samples=[sample])
    raw = path.read_text(encoding="utf-8")
    passage = raw[raw.index('<p class="passage" lang="lzh">') :].partition(">")[2].partition("</p>")[0]
    parsed = Page(passage)
    assert "".join(parsed.words) == text
    assert [a["title"] for a in parsed.tags("span")] == ["U+E123, private use", "U+20000"]
    assert [(a["data-type"], a["title"]) for a in parsed.tags("mark")] == [
        ("ZD", "ZD disease"),
        ("ZP", "ZP decoction piece"),
    ]


def test_the_votes_of_an_entity():
    assert describe_entity(ENTITY).en == (
        "NR person; confidence 0.912; decided by the LLM; SLM: none (H 0.500); LLM: NR (P 0.750)"
    )
    gated = ENTITY | {"score": None, "decided_by": "slm", "slm_type": "NR", "llm_type": None, "llm_category_prob": None}
    assert describe_entity(gated).zh == "NR 人名；由小模型裁决；小模型：NR（H 0.500）；大模型：无"
    assert describe_entity(gated).en == "NR person; decided by the SLM; SLM: NR (H 0.500); LLM: none"


def test_what_the_learned_rule_takes_from_neither_answer_is_a_second_thought_of_the_small_model():
    for segment in rows(40):
        both, slm, llm = set(segment.slm.spans) & set(segment.llm.spans), segment.slm.spans, segment.llm.spans
        free = [i for i in range(len(segment.text)) if not any(span.start <= i < span.end for span in (*slm, *llm))]
        accepted = [(Span(free[0], free[0] + 1, "NS"), 0.6), *((span, 0.9) for span in {*slm, *llm})]
        for entity in build_accepted_entities(segment, accepted):
            row = {"type": entity.span.type, "decided_by": entity.decided_by, "slm_type": entity.slm_type}
            assert is_second_thought(row) == (entity.span not in {*slm, *llm})
            assert (entity.decided_by == "agree") == (entity.span in both)


def test_pieces_mark_the_region_across_entities():
    pieces = split_by_entities("甲乙丙丁戊", [{"start": 1, "end": 3, "type": "NR"}], (2, 4))
    assert [(p.type, [(r.text, r.in_region) for r in p.runs], p.in_region) for p in pieces] == [
        ("", [("甲", False)], False),
        ("NR", [("乙", False), ("丙", True)], True),
        ("", [("丁", True), ("戊", False)], True),
    ]


@pytest.mark.parametrize("spans", [[(0, 2), (1, 3)], [(0, 9)], [(1, 1)]])
def test_impossible_entities_are_refused(spans):
    with pytest.raises(ValueError, match="overlaps"):
        split_by_entities("甲乙丙", [{"start": s, "end": e, "type": "NR"} for s, e in spans])


def test_characters_that_fonts_may_lack():
    assert describe_rare_char("王") is None
    assert describe_rare_char("\ue000") == BilingualText("U+E000, private use", "U+E000，私用区字符")
    assert describe_rare_char("\U00020bb7") == same_in_both("U+20BB7")
    assert describe_rare_char("\U000e0100") is None


def test_colours_do_not_depend_on_the_order():
    types = ["NR", "X1", "X2", "T"]
    assert assign_type_colours(types) == assign_type_colours(types[::-1])
    assert len(set(assign_type_colours(types).values())) == 4


def test_facts():
    assert fact_tables.flatten_json({"a": {"b": 1, "c": []}, "d": [1, 2], "e": None, "f": [{"g": True}]}) == [
        ("a.b", "1"),
        ("a.c", "none"),
        ("d", "1, 2"),
        ("e", "none"),
        ("f[0].g", "yes"),
    ]
    table = fact_tables.tabulate_objects_or_pairs(same_in_both("Inputs"), [{"a": 1}, {"b": "x"}])
    assert (table.columns, table.rows) == (("a", "b"), (("1", ""), ("", "x")))
    assert fact_tables.tabulate_objects_or_pairs(same_in_both("Inputs"), ["a.txt", "b.txt"]).rows == (
        ("", "a.txt, b.txt"),
    )
    assert [t.heading.en for t in fact_tables.build_main_fact_tables(RUN)] == [
        "Inputs",
        "Counts",
        "Timings",
        "Versions",
    ]
    assert [t.heading.en for t in fact_tables.build_remaining_fact_tables(RUN)] == ["General", "config"]


def test_numbers_in_words():
    assert format_percent(0.88123) == "88.12"
    assert format_points(-0.0012) == "−0.12"
    assert format_points(0.0) == "+0.00"
