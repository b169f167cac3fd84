"""The site in a real browser: what it shows, what clicks and keys do, in both languages, on screen and on paper.

Needs Debian's `chromium` and Playwright. Screenshots go to the test's folder and, if RAYNER_SCREENSHOTS names one,
there too.
"""

import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from rayner.rendering.tagged_text import describe_entity
from rayner.site.build import build_site
from rayner.site.corpus_pages import format_size_if_large
from rayner.site.serve import create_server
from tests.corpus.tagged_corpora import document, write_unit
from tests.page_words import BROKEN_WORDS
from tests.site_pages.site_units import HOSTILE, LONG, NASTY, SEGMENT, voted, write_corpus

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (apt-get install chromium)"),
]
expect = playwright.expect
DENIED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied'); }});"
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  function rgb(colour) {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
  }
  function light(colour) {
    const [r, g, b] = rgb(colour).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  }
  function ratio(a, b) { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); }
  const paper = getComputedStyle(document.body).backgroundColor, text = document.getElementById("text");
  const out = [ratio(getComputedStyle(document.querySelector(".note")).color, paper),
               ratio(getComputedStyle(document.querySelector(".trail a")).color, paper)];
  for (let hue = 0; hue < 360; hue += 5) {
    for (const saturation of [45, 55, 65, 80]) {
      const mark = document.createElement("b");
      mark.style.setProperty("--h", hue); mark.style.setProperty("--s", saturation + "%");
      text.append(mark);
      const own = getComputedStyle(mark).backgroundColor;
      out.push(ratio(getComputedStyle(mark).color, own), ratio(getComputedStyle(mark, "::after").color, own));
      mark.remove();
    }
  }
  return Math.min(...out);
}"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_corpus(tmp_path_factory.getbasetemp() / "browsed")


@pytest.fixture(scope="module")
def site(rows, tmp_path_factory):
    root = tmp_path_factory.getbasetemp()
    build_site(root / "browsed", root / "site")
    return root / "site"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, site, tmp_path):
    """Open pages of the site by file://. At the end, take a screenshot of each, and assert that there were no errors
    and no requests to other addresses."""
    contexts, problems, pages = [], [], []

    def open_page(name="index.html", base="", script="", **options):
        base = base or site.as_uri()
        context = chromium.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}} | options)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url.startswith((base, "data:")) or problems.append(request.url))
        page.goto(f"{base}/{name}")
        contexts.append(context)
        pages.append(page)
        return page

    yield open_page
    screenshots = os.environ.get("RAYNER_SCREENSHOTS")
    for number, page in enumerate(pages):
        for folder in filter(None, (str(tmp_path), screenshots)):
            test = re.sub(r"\W+", "-", os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0])
            page.screenshot(path=Path(folder, f"{test}-{number}.png"))
    for context in contexts:
        context.close()
    assert problems == []


def marks(page):
    return page.locator("#text b")


# ---- a document


def test_the_text_is_the_text_whatever_is_in_it(visit):
    page = visit("d/0/0.html")
    shown = page.evaluate("document.getElementById('text').textContent")
    assert shown == NASTY.replace("\0", "\ufffd")
    titles = page.locator("#text i").evaluate_all("all => all.map(one => [one.textContent, one.title])")
    assert titles == [
        ["\ue000", "U+E000, private use"],
        ["\U000f0001", "U+F0001, private use"],
        ["\U00020bb7", "U+20BB7"],
        ["\ufffd", "U+0000"],
    ]
    assert page.locator("script").count() == 9  # none from the text
    hostile = visit("d/0/4.html")
    assert hostile.evaluate("document.getElementById('text').textContent") == HOSTILE
    assert hostile.locator("h1").text_content() == HOSTILE.rpartition("/")[2]


def test_an_entity_is_described_as_in_the_report(visit, rows):
    page = visit("d/0/0.html")
    for number, row in enumerate(rows[0][:-1]):
        assert page.evaluate(f"rayner.describeEntity({number})") == describe_entity(row).en
    assert page.evaluate("rayner.describeEntity(6)").endswith("SLM: NR (H 0.125); LLM: not asked")
    page.locator("#language").click()
    for number, row in enumerate(rows[0][:-1]):
        assert page.evaluate(f"rayner.describeEntity({number})") == describe_entity(row).zh
    expected = "NR 人名；置信度 0.400；由大模型裁决；小模型：无（H 0.125）；大模型：NR（P 0.750）"
    assert page.evaluate("rayner.describeEntity(1)") == expected


@pytest.mark.parametrize("slm_type", [None, "NS"])
def test_an_entity_that_the_small_model_did_not_choose_is_called_its_second_thought(visit, tmp_path, slm_type):
    row = voted("a", 0, "懷王", decided_by="slm", slm_type=slm_type, llm_type=None, llm_category_prob=None)
    made = voted("a", 2, "入秦", decided_by="llm", slm_type=None, llm_type=None, llm_category_prob=None)
    segments = [{"doc_id": "a", "start": 0, "end": 5, **SEGMENT}]
    write_unit(tmp_path / "tagged", "u.parquet", [document("a", "懷王入秦。")], [row, made], segments)
    build_site(tmp_path / "tagged", tmp_path / "site")
    page = visit("d/0/0.html", base=(tmp_path / "site").as_uri())
    assert "a second thought of the SLM" in page.evaluate("rayner.describeEntity(0)")
    assert page.evaluate("rayner.describeEntity(0)") == describe_entity(row).en
    assert page.evaluate("rayner.describeEntity(1)") == describe_entity(made).en
    marks(page).first.click()
    assert "a second thought of the SLM, chosen by the fusion rule" in page.locator("#card").inner_text()
    page.locator("#language").click()
    assert page.evaluate("rayner.describeEntity(0)") == describe_entity(row).zh
    assert "小模型的次选" in page.locator("#card").inner_text()
    page = visit("disagreements.html", base=(tmp_path / "site").as_uri())
    types = sorted(page.locator(".disagreement-type").all_text_contents())
    assert types[0].startswith("a second thought of the SLM: not in its answer")
    assert types[1].startswith("made by the fusion rule from tags of the LLM")


def test_hovering_shows_the_votes_of_both_models(visit):
    page = visit("d/0/0.html")
    card = page.locator("#card")
    assert card.is_hidden()
    marks(page).nth(2).hover()
    card_text = " ".join(card.inner_text().split())
    expected = ("NR person", "decided by the SLM", "confidence 0.200", "NS place", "0.125", "0.750", "0.500", "U+F0001")
    for part in expected:
        assert part in card_text
    start = NASTY.index("\U000f0001")
    assert f"[{start}, {start + 3})" in card_text
    page.locator("h1").hover()
    card.wait_for(state="hidden")
    marks(page).nth(2).click()
    page.locator("h1").hover()
    page.wait_for_timeout(400)
    assert card.is_visible()  # a click keeps it
    page.keyboard.press("Escape")
    assert card.is_hidden()


def test_filters_by_type_decider_and_confidence(visit):
    page = visit("d/0/0.html")

    def shown():
        return page.locator("#text b:not(.off)").evaluate_all("all => all.map(one => one.textContent)")

    everything = shown()
    assert len(everything) == 7
    box = page.locator(".filters label", has_text="NR").locator("input")
    box.uncheck()
    assert len(shown()) == 4
    assert page.locator("#status").inner_text() == "Shown: 4 of 7 entities"
    box.check()
    page.locator(".filters input[value=l]").uncheck()
    page.locator(".filters input[value=s]").uncheck()
    assert shown() == ["楚", "\U00020bb7之\U000e0100", "<script>", "己"]
    page.get_by_label("Confidence at least").fill("0.9")  # an entity without a confidence is not known to reach it
    assert shown() == ["楚", "\U00020bb7之\U000e0100"]
    page.get_by_label("Confidence at least").fill("0")
    page.locator(".filters input[value=l]").check()
    page.locator(".filters input[value=s]").check()
    assert shown() == everything
    assert page.evaluate("document.getElementById('text').textContent") == NASTY.replace("\0", "\ufffd")


@pytest.mark.parametrize(
    ("vertical", "forth", "back"), [(False, "ArrowRight", "ArrowLeft"), (True, "ArrowDown", "ArrowUp")]
)
def test_the_keyboard_alone_reads_a_document(visit, vertical, forth, back):
    page = visit("d/0/0.html" + ("?dir=v" if vertical else ""))
    card, focused = page.locator("#card"), "document.activeElement"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.id") == "main"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"{focused}.tagName") == "B":
            break
    assert page.evaluate(f"{focused}.textContent") == "楚"
    assert page.evaluate(f"{focused}.getAttribute('aria-label')").startswith("楚, NG country; confidence 0.900; both")
    assert page.locator("#text b[tabindex='0']").count() == 1
    page.keyboard.press(forth)
    page.keyboard.press(forth)
    page.keyboard.press(back)
    assert page.evaluate(f"{focused}.textContent") == "懷王\ue000"
    assert card.is_visible()
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.textContent") == "Link to this place"
    page.keyboard.press("Escape")
    assert card.is_hidden()
    assert page.evaluate(f"{focused}.textContent") == "懷王\ue000"
    page.keyboard.press("End")
    assert page.evaluate(f"{focused}.textContent") == "庚"
    page.keyboard.press("Home")
    assert page.evaluate(f"{focused}.textContent") == "楚"


def test_vertical_writing_is_a_switch_that_is_remembered(visit):
    page = visit("d/0/1.html")
    text = page.locator("#text")
    assert text.evaluate("one => getComputedStyle(one).writingMode") == "horizontal-tb"
    page.get_by_label("Vertical writing").check()
    assert text.evaluate("one => getComputedStyle(one).writingMode") == "vertical-rl"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # it scrolls in its own frame
    assert text.evaluate("one => one.scrollWidth > one.clientWidth")
    text.hover()
    page.mouse.wheel(0, 600)
    page.wait_for_function("() => document.getElementById('text').scrollLeft < -300")
    page.get_by_role("link", name="Next →").first.click()
    page.wait_for_url("**/1-2.html*")
    assert page.locator("#text").evaluate("one => getComputedStyle(one).writingMode") == "vertical-rl"


@pytest.mark.parametrize("dir", ["h", "v"])
def test_a_deep_link_finds_its_page_and_marks_the_place(visit, dir):
    starts = [i for i, char in enumerate(LONG) if char == "秦"]
    page = visit(f"d/0/1.html?dir={dir}#c{starts[-1]}")
    page.wait_for_url("**/1-*.html*")
    at = page.locator("#text .at")
    assert at.count() == 1
    assert at.text_content() == "秦"
    assert page.evaluate("document.activeElement.classList.contains('at')")
    assert f"[{starts[-1]}, {starts[-1] + 1})" in page.locator("#card").inner_text()
    box = at.bounding_box()
    assert 0 <= box["y"] < 900
    assert 0 <= box["x"] < 1280
    page.evaluate(f"location.hash = 'c{len(LONG) - 4}'")  # no entity: the character is set off
    expect(at).to_have_text(LONG[-4])
    before = page.evaluate("document.getElementById('text').textContent")
    page.evaluate("location.hash = ''")
    expect(at).to_have_count(0)
    assert page.evaluate("document.getElementById('text').textContent") == before


@pytest.mark.parametrize("char", ["\U000f0001", "\U00020bb7", "己", "乙", "\u2028"])
def test_deep_links_count_code_points(visit, char):
    page = visit(f"d/0/0.html#c{NASTY.index(char)}")
    assert page.locator("#text .at").text_content().startswith(char)


# ---- the index


def test_searching_by_beginning_and_by_part(visit, rows):
    page = visit("entities.html")
    names = page.locator("#names .name")
    assert names.first.text_content() == "秦"
    page.get_by_label("Search names").fill("屈")
    expect(page.locator("#status")).to_have_text("Found: 1")
    assert names.all_text_contents() == ["屈原"]
    page.get_by_label("contains", exact=True).check()
    expect(page.locator("#status")).to_have_text("Found: 2")
    assert set(names.all_text_contents()) == {"屈原", "\U000f0001屈原"}
    page.get_by_label("Type").select_option("NS")
    expect(page.locator("#status")).to_have_text("Found: 0")
    page.get_by_label("Type").select_option("")
    page.get_by_label("begins with").check()
    page.get_by_label("Search names").fill("\U000f0001")  # beyond the BMP
    expect(names).to_have_text(["\U000f0001屈原"])
    assert page.locator("#names i").get_attribute("title") == "U+F0001, private use"


def test_a_name_leads_to_its_places(visit, rows):
    page = visit("entities.html")
    page.locator("#names summary").first.focus()
    page.keyboard.press("Enter")
    places = page.locator(".places a")
    places.nth(100).wait_for()
    assert places.count() == 200
    assert page.locator(".places h3").all_text_contents() == ["史/長"]
    assert page.locator(".places .in-context").count() == 5
    assert re.fullmatch(r"9第0000王使人之秦，秦人去矣。第000", page.locator(".places .in-context").first.text_content())
    page.locator(".places button").click()
    expect(places).to_have_count(400)
    last = places.last
    offset = int(last.text_content().replace(",", ""))
    assert offset == rows[1][399]["start"]
    last.click()
    page.wait_for_url(f"**/d/0/1*.html*#c{offset}")
    assert page.locator(".at").text_content() == "秦"
    page.keyboard.press("Enter")
    page.get_by_role("link", name="All places of this name").click()
    page.wait_for_url("**/entities.html*")
    page.locator(".places a").first.wait_for()  # opened, as the address names it
    assert page.locator("#names .name").first.text_content() == "秦"


@pytest.mark.parametrize("width", [1280, 700, 360])
def test_the_columns_of_the_index_are_aligned(visit, width):
    page = visit("entities.html", viewport={"width": width, "height": 900})
    page.locator("#names summary").nth(9).wait_for()
    edges = """(all, side) => Array.from(new Set(all.map(one => Math.round(one.getBoundingClientRect()[side]))))"""
    for column, side in (("name", "left"), ("type", "left"), ("times", "right"), ("confidence", "right")):
        assert len(page.locator(f"#names .{column}").evaluate_all(edges, side)) == 1, column
    documents_side = "left" if width < 896 else "right"
    assert len(page.locator("#names .documents").evaluate_all(edges, documents_side)) == 1


def test_the_size_of_a_small_index_is_not_mentioned(visit):
    page = visit("entities.html")
    assert page.locator("#contains").count() == 0
    assert [format_size_if_large(n) for n in (0, 99_999, 123_456, 9_600_000)] == ["", "", "123 KB", "9.6 MB"]


# ---- the other pages


def test_tables_sort_and_filter(visit):
    page = visit("index.html")
    assert page.locator(".totals dd").first.inner_text() == "5"
    head = page.locator("th", has_text=re.compile("^Characters"))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    column = page.locator(".sortable tbody td:nth-child(3)")
    assert column.all_text_contents()[0] == f"{len(NASTY) + len(LONG):,}"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    page.get_by_label("Show only names that contain").fill("alert")
    assert page.locator(".sortable tbody tr:visible").count() == 1
    page.locator(".sortable tbody tr:visible a").click()
    page.wait_for_url("**/book/*.html*")
    assert page.locator("figure svg, .sortable a").count() == 1


def test_disagreements_lead_to_their_places(visit):
    page = visit("disagreements.html")
    assert "disagree on 4 of the entities" in page.locator(".lead").inner_text()
    assert page.locator(".disagreement-type").all_text_contents() == [
        "different type",
        "found by the SLM only",
        "different type",
        "found by the LLM only",
    ]
    page.locator("summary").click()
    assert page.locator(".confusion td").all_text_contents().count("1") == 4
    page.locator(".where a").first.click()
    page.wait_for_url("**/d/0/0.html*")
    assert page.locator(".at").text_content() == "\U000f0001屈原"


@pytest.mark.parametrize("denied", [False, True])
def test_the_language_is_remembered_also_where_storage_is_denied(visit, site, denied):
    page = visit("index.html", script=DENIED if denied else "")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.locator("#language").click()
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.title() == "标注语料库"
    for link in ("实体索引", "分歧", "语料"):
        page.get_by_role("navigation", name="本站页面").get_by_role("link", name=link).click()
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    english = page.locator("body [data-zh]:not(#language)").filter(has_not_text=re.compile("[\u4e00-\u9fff×]"))
    assert english.all_text_contents() == []
    page.locator("#language").click()
    assert page.title() == "Tagged corpus"


def test_a_browser_set_to_chinese_begins_in_chinese(visit):
    assert visit("index.html", locale="zh-CN").title() == "标注语料库"


def test_served_it_is_the_same(visit, site):
    httpd = create_server(site, 0)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        page = visit("entities.html?q=屈", base=f"http://127.0.0.1:{httpd.server_port}")
        expect(page.locator("#status")).to_have_text("Found: 1")
        page.locator("#language").click()
        page.goto(f"http://127.0.0.1:{httpd.server_port}/d/0/0.html")
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    finally:
        httpd.shutdown()
        httpd.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_in_light_and_dark(visit, scheme):
    assert visit("d/0/0.html", color_scheme=scheme).evaluate(CONTRAST) >= 4.5


def test_on_paper_entities_are_underlined_by_type(visit):
    page = visit("d/0/0.html")
    page.emulate_media(media="print")
    assert page.locator(".filters").is_hidden()
    assert page.locator("header.bar").is_hidden()
    styles = marks(page).evaluate_all(
        "all => all.map(one => [one.className, getComputedStyle(one).textDecorationLine,"
        " getComputedStyle(one).textDecorationStyle, getComputedStyle(one, '::after').content])"
    )
    assert {line for _, line, _, _ in styles} == {"underline"}
    assert len({style for *_, style, _ in styles}) == 5
    assert all(label not in ("none", "normal") for *_, label in styles)


def test_narrow_screens_need_no_sideways_scrolling(visit):
    for name in ("index.html", "d/0/0.html", "entities.html", "disagreements.html", "book/1.html"):
        page = visit(name, viewport={"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_narrow_screens_break_no_word(visit, locale):
    for name in ("index.html", "d/0/0.html", "entities.html", "disagreements.html", "book/1.html"):
        page = visit(name, viewport={"width": 360, "height": 700}, locale=locale)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate(BROKEN_WORDS, "th, td, dt, dd, legend, label, .type, .lead, .note") == [], name


def test_reduced_motion_is_heeded(visit):
    for motion, behaviour in (("no-preference", "smooth"), ("reduce", "auto")):
        page = visit("d/0/0.html", reduced_motion=motion)
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == behaviour


def test_without_scripts_the_text_can_be_read(visit):
    page = visit("d/0/0.html", java_script_enabled=False)
    assert page.locator("#text b").count() == 7
    assert "need JavaScript" in page.locator("noscript").inner_text()
    assert page.locator(".filters").is_hidden()
