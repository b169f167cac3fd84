"""The report in both languages: every text exists in both, and a browser set to Chinese shows no English."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import CrfConfig, LlmConfig, SlmConfig
from rayner.config.settings import Config, SplitConfig
from rayner.corpus.novelty import CorpusNovelty, DocumentNovelty, NewChars, NewNames
from rayner.evaluation.calibration_records import PerfectCalibration, ReliabilityBin, SystemCalibration, TypeCalibration
from rayner.fusion.artifact import BUILT_IN_RULES
from rayner.fusion.conflict_regions import ENTROPY_REDUCTIONS, LLM_CONFIDENCES, LLM_REDUCTIONS
from rayner.fusion.learned import span_features
from rayner.fusion.learned.document_evidence import EVIDENCE_FEATURES
from rayner.fusion.learned.lexicon import Lexicon
from rayner.fusion.learned.span_rule import SpanRule
from rayner.rendering.bilingual import LANGUAGES, BilingualText, bilingual_attribute, fill_text, join_texts
from rayner.rendering.texts_llm_use import LLM_USE_TEXTS
from rayner.rendering.texts_methods import METHODS_TEXTS
from rayner.rendering.texts_report import REPORT_TEXTS
from rayner.rendering.texts_scores import SCORE_TEXTS
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.rendering.translation import GLOSS_TEXTS, TEXTS, translate, translate_feature_name, translate_setting
from rayner.report import methods
from rayner.report.page import TaggedSample, write_report_page
from tests.page_words import BROKEN_WORDS
from tests.report.records import make_evaluation, make_fusion, make_run_facts
from tests.report.synthetic import TYPES
from tests.report.test_report_methods import FUSION, TAGGED
from tests.report.test_report_page import ENTITY, RUN, Page
from tests.report.test_report_plots import RULE, SHARES, curves

REPORT = Path(methods.__file__).parent
RENDERING = REPORT.parent / "rendering"
HAN = re.compile("[\u4e00-\u9fff]")
# What stands in both: names of programs, settings, files and types, symbols, and tags of the field's formats.
NAMES = re.compile(r"rayner review sample|rayner|bootstrap|Unicode|softmax|logit|log p|LoRA|L-BFGS|L[12]|gate\.share"
                   r"|ECE|lambda|exp|alpha|F1|corpus\.match_script=true|English|\b[A-Z]{1,2}\b")  # fmt: skip
LATIN = ("type_code_and_gloss", "count_of_total", "methods_space")  # texts without a word
FOR_SCRIPTS: tuple[str, ...] = ()
FEATURES = {"constant", "length", "type", *EVIDENCE_FEATURES} | {
    name
    for with_scores in (False, True)
    for name in span_features.feature_names([], candidate_scores=with_scores)
    if not name.startswith("length ")
}


UNUSUAL = tuple(DocumentNovelty(f"卷{i}", NewNames(40, 40 - i), None if i else 0.5) for i in range(10))
NOVELTY = CorpusNovelty(NewNames(1000, 400), NewChars(1000, 200, 900, 700), NewChars(100, 10, 90, 50), UNUSUAL)
LONG_FACTS = {"corpus": "/folder/of/texts" * 9, "llm": "none"}
TABLES = [SHARED_TEXTS, REPORT_TEXTS, SCORE_TEXTS, LLM_USE_TEXTS, METHODS_TEXTS, SITE_TEXTS, GLOSS_TEXTS]


@pytest.mark.parametrize(
    "table",
    [SHARED_TEXTS, REPORT_TEXTS, SCORE_TEXTS, LLM_USE_TEXTS, METHODS_TEXTS],
    ids=["shared", "report", "scores", "llm use", "methods"],
)
def test_every_text_is_in_both_languages(table):
    for key, text in table.items():
        assert len(text) == len(LANGUAGES)
        assert all(text) or key == "methods_space", key
        assert len({tuple(sorted(set(re.findall(r"\{\d\}", part)))) for part in text}) == 1, key
        zh = NAMES.sub("", re.sub(r"\{\d\}", "", text[1]))
        assert not re.search("[A-Za-z]", zh), (key, zh)
        assert HAN.search(text[1]) or not re.search("[a-z]", NAMES.sub("", text[0])) or key in LATIN, key
        assert not HAN.search(text[0]) or key == "other_language", key


def test_every_text_has_one_key_is_used_and_every_used_text_exists():
    assert len(TEXTS) == sum(map(len, TABLES))
    used, words = set(), set()
    for path in [*REPORT.glob("*.j2"), *REPORT.glob("*.py"), *RENDERING.glob("[!_]*.py")]:
        if path.name.startswith("texts_"):
            continue
        source = path.read_text(encoding="utf-8")
        words |= set(re.findall(r"[\"'](\w+)[\"']", source))
        used |= set(re.findall(r"\btranslate\(\s*\"(\w+)\"", source))
    assert used - set(TEXTS) == set()
    composed = {f"facts_{key}" for key in ("inputs", "counts", "timings", "faults", "versions")}
    composed |= {f"probs_of_{value}" for value in LLM_CONFIDENCES} | {"softmax_all", "softmax_allowed"}
    composed |= {f"methods_examples_{value}" for value in ("similar", "fixed", "none")}
    composed |= {f"methods_hint_{value}" for value in ("tags", "confidence")}
    composed |= {f"methods_decoding_{value}" for value in ("automaton", "free")}
    composed |= {f"methods_{part}" for part in ("train", "dev", "test")}
    composed |= {f"methods_score_{name}" for name in ("slm", "llm", "fused", "rule")}
    composed |= {f"{system}_{rule}" for system in ("fused", "control", "rule_output") for rule in BUILT_IN_RULES}
    composed |= {f"methods_{model}_{start}" for model in ("encoder", "decoder") for start in ("scratch", "named")}
    composed |= {f"silent_{finder}" for finder in ("slm", "llm", "fused")}
    composed |= {f"script_{script}" for script in ("traditional", "simplified", "mixed")}
    composed |= {f"worth_{verdict}" for verdict in ("ahead", "even", "behind")}
    composed |= {f"place_{place}" for place in ("corpus", "dev", "test")}
    composed |= {f"methods_by_{unit}" for unit in ("document", "block", "sentence")}
    settings = {f"setting_{value}" for value in (*ENTROPY_REDUCTIONS, *LLM_REDUCTIONS, *LLM_CONFIDENCES)}
    features = {f"feature_{name}" for name in FEATURES}
    prefixed = {key for key in REPORT_TEXTS if key.startswith(("setting_", "feature_"))}
    assert prefixed == settings | features
    texts = {*REPORT_TEXTS, *SCORE_TEXTS, *LLM_USE_TEXTS, *METHODS_TEXTS, *SHARED_TEXTS}
    assert texts - words - composed - prefixed == set(FOR_SCRIPTS)


def test_the_features_of_the_learned_rule_have_chinese_names():
    assert translate_feature_name("length 3") == BilingualText("length 3", "长度 3")
    assert translate_feature_name("type NR") == BilingualText("type NR", "类别 NR")
    assert translate_feature_name("LLM category") == BilingualText("LLM category", "大模型类别概率")
    assert translate_setting("max") == BilingualText("maximum", "最大值")
    assert translate_setting("unknown") == BilingualText("unknown", "unknown")


@given(st.text(), st.text(), st.text())
def test_words_in_both_languages_stand_in_a_page_as_they_are(en, zh, name):
    parsed = Page(
        f"<p>{BilingualText(en, zh).__html__()}</p><i {bilingual_attribute('title', BilingualText(en, zh))}></i>"
    )
    assert "".join(parsed.words).replace("\r\n", "\n") == en.replace("\r\n", "\n")
    assert [item["data-zh"] for item in parsed.tags("span")] == ([zh] if en != zh else [])
    assert [(item["title"], item["data-zh-title"]) for item in parsed.tags("i")] == [(en, zh)]
    both = fill_text(("{0} of {1}", "{1}之{0}"), BilingualText(en, zh), name)
    assert both == BilingualText(f"{en} of {name}", f"{name}之{zh}")
    assert join_texts([both, both], BilingualText(", ", "，")).zh == f"{both.zh}，{both.zh}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "大模型为从头训练的解码器，"),
        (
            {"slm": SlmConfig(family="crf", crf=CrfConfig(unlabelled="x"))},
            "次），并使用由无标注文本得到的字聚类（32 与 512 类）。",
        ),
        (
            {"llm": LlmConfig(full_epochs=1, epochs=2)},
            "，全参数训练一轮（峰值学习率 0.001），再以 LoRA 微调 2 轮",
        ),
        ({"llm": LlmConfig(epochs=0, examples="none")}, "，未经微调；提示中不含示例。"),
        ({"llm": LlmConfig(examples="none", hint="tags")}, "；提示中不含示例，并附有小模型对该句的标注。"),
        ({"split": SplitConfig(folds=3)}, "。该规则在开发集句子以及（按 3 折交叉拟合）训练句上拟合。"),
    ],
)
def test_the_methods_paragraph_follows_the_settings_in_chinese_too(change, expected):
    assert expected in methods.compose_methods_paragraph(make_run_facts(replace(Config(), **change)), FUSION, None).zh


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with all its sections."""
    evaluation = make_evaluation()
    bins, perfect = (ReliabilityBin(0.8, 0.9, 0.85, 0.8, 12),), PerfectCalibration(0.03, 0.06)
    model = SystemCalibration(12, 0.05, bins, perfect, before=0.1)
    fused = SystemCalibration(12, 0.05, bins, perfect, by_type={"NR": TypeCalibration(12, 0.05, perfect)})
    outcomes = [("slm", "slm"), ("slm", "llm"), ("llm", "neither"), ("neither", "slm"), ("neither", "neither")]
    disagreements = tuple(
        replace(disagreement, winner=winner, right=right)
        for disagreement, (winner, right) in zip(evaluation.disagreements, outcomes, strict=False)
    )
    evaluation = replace(
        evaluation,
        n_without_llm=3,
        budget=SHARES,
        calibration={"slm": model, "llm": model, "fused": fused},
        disagreements=disagreements + evaluation.disagreements[len(disagreements) :],
        paired={
            "fused-slm": (0.01, 0.003, 0.02),
            "fused-llm": (0.002, -0.005, 0.009),
            "llm-slm": (-0.02, -0.03, -0.01),
        },
    )
    types = ("NR", "NS")
    rule = SpanRule(types, (0.1,) * (1 + len(span_features.feature_names(types))), Lexicon({}, {}))
    chosen = make_fusion(
        RULE, curves=curves(500), chosen="spans", held_out_f1={"spans": 0.9, "regions": 0.8}, span_rule=rule
    )
    facts = make_run_facts(
        Config(corpus=CorpusConfig("c")), faults=LONG_FACTS, tagged=TAGGED, inputs=RUN["inputs"], timings=RUN["timings"]
    )
    gated = ENTITY | {"decided_by": "slm", "start": 3, "end": 4}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report_page(
        path,
        title="A.txt → 語料",
        evaluation=evaluation,
        fusion=chosen,
        facts=facts.to_json(),
        methods=methods.compose_methods_paragraph(facts, chosen, evaluation),
        samples=[TaggedSample("卷一", "懷王怒\ue000去。", [ENTITY, gated])],
        novelty=NOVELTY,
    )
    return path


# What may be in Latin letters on the Chinese page: names and settings, and whatever stands in a table of facts.
LEFT = """() => {
  const out = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, within = node.parentElement;
    if (within.closest("script, style, .fact td, .fact th, [lang=lzh], [lang=en]:not(html)")) continue;
    if (node.data.trim()) out.push(node.data.trim());
  }
  document.querySelectorAll("[aria-label], [title]").forEach(item => {
    if (item.closest(".fact")) return;
    for (const name of ["aria-label", "title"]) if (item.hasAttribute(name)) out.push(item.getAttribute(name));
  });
  return out;
}"""


@pytest.fixture
def visit(report):
    """The report in a browser set to a language; a warning in its console fails the test."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on PATH (apt-get install chromium)")
    problems = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def open_page(locale):
            page = browser.new_context(locale=locale).new_page()
            page.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(report.as_uri())
            return page

        yield open_page
        browser.close()
    assert problems == []


def language(page):
    return page.evaluate("document.documentElement.lang")


@pytest.mark.slow
def test_a_chinese_browser_shows_no_english(visit):
    page = visit("zh-CN")
    assert language(page) == "zh-Hans"
    shown = page.evaluate(LEFT)
    assert len(shown) > 200
    kinds = "|".join([*TYPES, "A\\.txt"])
    allowed = re.compile(rf"{kinds}|{NAMES.pattern}|U\+[0-9A-F]+|doc\d+|^config$")
    methods_of = page.locator("#methods p").text_content()
    left = [text for text in shown if re.search("[A-Za-z]{2,}", allowed.sub("", text)) and text != methods_of]
    assert left == []
    assert "命名实体识别的严格微平均 F1" in methods_of
    assert "有 20.0% 的字、77.8% 的相邻字对和 40.0% 的所标实体" in page.locator("#novelty .lead").text_content()
    rows = page.locator("#novelty tbody tr").evaluate_all("all => all.map(row => row.innerText.split(/\\s+/))")
    assert [row[0] for row in rows] == [document.doc_id for document in UNUSUAL]
    assert rows[0] == ["卷0", "40", "100.0", "0.500"]
    assert page.locator("#fusion .missed").text_content().startswith("只有已标注的实体才有置信度")
    assert page.locator(".verdicts li").first.text_content().startswith("融合结果比小模型高 1.00 个百分点")
    assert page.locator("svg text", has_text="仅小模型").count() == 2
    page.locator(".passage mark").first.click()
    assert "小模型：无（H 0.500）" in page.locator(".votes").first.text_content()


@pytest.mark.slow
def test_the_switch_brings_english_back_to_the_letter_and_is_remembered(visit, report):
    english, page = visit("en-US").evaluate(LEFT), visit("zh-CN")
    assert page.locator("#language").text_content() == "English"
    page.locator("#language").click()
    assert language(page) == "en"
    assert page.locator("#language").text_content() == "中文"
    assert page.evaluate(LEFT) == english
    assert any(text.startswith("Fused scores 1.00 points higher than SLM") for text in english)
    assert translate("intervals_note").en in english
    assert page.locator(".passage").first.text_content() == "懷王怒\ue000去。"
    page.reload()
    assert language(page) == "en"
    page.goto(f"{report.as_uri()}?lang=zh")
    assert language(page) == "zh-Hans"
    assert page.locator("#language").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#language").is_hidden()
    assert page.locator("h2").first.text_content() == "成绩"


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_on_paper_the_report_is_short_and_says_what_is_on_the_screen_only(visit, locale):
    page = visit(locale)
    assert page.get_by_text(translate("not_printed").en).is_hidden()
    assert page.locator("#fusion").is_visible()
    pages = re.findall(rb"/Type ?/Page\b", page.pdf(prefer_css_page_size=True))
    assert 1 < len(pages) <= 6
    page.emulate_media(media="print")
    for section in ("specialists", "fusion", "conflicts", "more"):
        assert page.locator(f"#{section}").is_hidden()
    for section in ("scores", "types", "disagreements", "samples", "methods", "run"):
        assert page.locator(f"#{section} h2").is_visible()
    assert page.locator(".on-paper").is_visible()
    assert page.locator("#types figure").evaluate("one => getComputedStyle(one).breakInside") == "avoid"


@pytest.mark.slow
def test_narrow_screens_break_no_word_of_the_report(visit):
    page = visit("en-US")
    page.set_viewport_size({"width": 360, "height": 700})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate(BROKEN_WORDS, "th, td, dt, dd, p, li, figcaption, summary, caption") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
