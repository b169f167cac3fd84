"""Corrections in the pages of a document, in a real browser: making, showing, keeping and downloading them."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest

from rayner.corpus.corrections.correction_files import CorrectionContext, read_correction_files
from rayner.site.build import build_site
from rayner.site.serve import create_server
from rayner.text.json_records import record_to_json
from tests.corpus.tagged_corpora import document, write_unit
from tests.site_pages.site_units import HOSTILE, LONG, LONG_ID, NASTY, NASTY_ID, voted
from tests.site_pages.site_units import write_corpus as write_corpus_of_site
from tests.site_pages.test_site_browser import CHROMIUM, DENIED, chromium, expect, marks, rows, site, visit

__all__ = ["chromium", "rows", "site", "visit"]  # fixtures
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (apt-get install chromium)"),
]
# Combining marks, RTL marks, a joiner, a variation selector, quotes, CR, LF, tab, NUL and characters beyond the BMP.
ODD = (
    "甲\u0301e\u0308\u200f\u202e乙\u200d\"丙'丁\r\n戊\t己\0庚\r辛\ufffd<壬>&amp;\U00020bb7"
    "\U000e0100癸\u2028子\u0085丑\ufeff寅\n"
)
SELECT = """([from, to]) => {
  const text = document.getElementById("text"), range = document.createRange();
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  let offset = 0, started = false;
  while (walker.nextNode()) {
    const node = walker.currentNode, chars = Array.from(node.data);
    const at = n => chars.slice(0, n - offset).join("").length;
    if (!started && from < offset + chars.length) { range.setStart(node, at(from)); started = true; }
    if (started && to <= offset + chars.length) { range.setEnd(node, at(to)); break; }
    offset += chars.length;
  }
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  text.focus({preventScroll: true});
}"""


def select(page, start, end):
    """Select characters of the page, counted in code points from the page's first."""
    page.evaluate(SELECT, [start, end])


def choose(page, type_name="", scope="here"):
    """Choose a type and a scope in the open editor, and save."""
    editor = page.locator("#editor")
    value = "none" if not type_name else str(page.evaluate("name => rayner.types.indexOf(name)", type_name))
    if value == "-1":
        editor.locator("input[name=other]").fill(type_name)
    else:
        editor.locator(f"input[value='{value}']").check()
    editor.locator("select").select_option(scope)
    editor.get_by_role("button", name=re.compile("^(Save|保存)$")).click()
    expect(editor).to_be_hidden()


def download(page):
    """Return the corrections of the downloaded file. Check the parts that every file has, and that it is read."""
    if page.locator("#corrections").get_attribute("open") is None:
        page.locator("#corrections summary").click()
    with page.expect_download() as started:
        page.locator("#download").click()
    assert started.value.suggested_filename == "rayner-corrections.json"
    with open(started.value.path(), encoding="utf-8", newline="") as file:
        content = json.load(file)
    assert list(content) == ["format", "format_version", "corrections"]
    assert (content["format"], content["format_version"]) == ("rayner-corrections", 1)
    for row in content["corrections"]:
        assert list(row) == ["doc_id", "start", "end", "text", "type", "scope", "before", "after"]
    saved = Path(f"{started.value.path()}.json")
    started.value.save_as(saved)
    read = [record_to_json(one) for one in read_correction_files([saved], CorrectionContext())]
    assert [
        {**row, "source": saved.name} for row in content["corrections"]
    ] == read  # as `rayner review apply` reads it
    return content["corrections"]


def correction(doc_id, text, start, end, type_name="", scope="here", page_start=0, page_end=None):
    """The correction that a page of `text` must write."""
    page_end = len(text) if page_end is None else page_end
    before = text[max(page_start, start - 20) : start]
    after = text[end : min(page_end, end + 20)]
    return {
        "doc_id": doc_id, "start": start, "end": end, "text": text[start:end], "type": type_name, "scope": scope,
        "before": before, "after": after,
    }  # fmt: skip


def shown(page):
    """The texts and labels of the corrections in the text, and the entities that they replace."""
    pieces = page.locator("#text .fix").evaluate_all(
        "all => all.map(one => [one.dataset.i, one.textContent, one.dataset.type || ''])"
    )
    joined = {}
    for i, text, label in pieces:
        joined[i] = (joined.get(i, ("", ""))[0] + text, label)
    return list(joined.values()), page.locator("#text b.gone").all_text_contents()


def text_content(page):
    return page.evaluate("document.getElementById('text').textContent")


def test_a_click_on_an_entity_corrects_its_type(visit):
    page = visit("d/0/0.html")
    expect(page.locator("#corrections")).to_be_hidden()
    marks(page).nth(0).click()
    page.locator("#card").get_by_role("button", name="Correct").click()
    expect(page.locator("#card")).to_be_hidden()
    choose(page, "NS", "book")
    assert shown(page) == ([("楚", "NS*")], ["楚"])
    expect(page.locator("#corrections .number")).to_have_text("1")
    assert text_content(page) == NASTY.replace("\0", "\ufffd")
    assert download(page) == [correction(NASTY_ID, NASTY, 0, 1, "NS", "book")]


def test_a_place_that_is_no_name_is_struck(visit):
    page = visit("d/0/0.html")
    marks(page).nth(1).click()
    page.locator("#card").get_by_role("button", name="Correct").click()
    choose(page)
    assert shown(page) == ([("懷王\ue000", "")], ["懷王\ue000"])
    select(page, 2, 3)  # a part of the entity: the correction is about the whole entity
    page.keyboard.press("e")
    choose(page)
    assert download(page) == [correction(NASTY_ID, NASTY, 1, 4)]


def test_a_selection_with_the_mouse_becomes_a_name(visit):
    page = visit("d/0/0.html")
    place = page.locator("#text").evaluate(
        "text => { const range = document.createRange(), node = Array.from(text.childNodes).find(one => one.data);"
        " range.selectNodeContents(node); const box = range.getBoundingClientRect();"
        " return [box.left, box.right, box.top + box.height / 2, node.data]; }"
    )
    page.mouse.move(place[0] + 2, place[2])
    page.mouse.down()
    page.mouse.move(place[1] - 2, place[2], steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Correct").click()
    choose(page, "MY-TYPE")
    start = NASTY.index(place[3])
    assert shown(page) == ([(place[3], "MY-TYPE")], [])
    assert download(page) == [correction(NASTY_ID, NASTY, start, start + len(place[3]), "MY-TYPE")]


def test_the_keyboard_alone_makes_changes_and_removes_corrections(visit):
    page = visit("d/0/0.html")
    marks(page).nth(1).focus()
    focused = "document.activeElement"
    page.locator("#text b[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    assert page.evaluate(f"{focused}.name") == "type"
    page.keyboard.press("Escape")
    expect(page.locator("#editor")).to_be_hidden()
    assert page.evaluate(f"{focused}.textContent") == "懷王\ue000"
    page.keyboard.press("e")
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    assert page.evaluate(f"{focused}.getAttribute('aria-label')") == "End: one character earlier"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    chosen = page.evaluate("rayner.types[document.querySelector('#editor [name=type]:checked').value]")
    page.keyboard.press("Enter")
    expect(page.locator("#editor")).to_be_hidden()
    assert shown(page) == ([("懷王", chosen)], ["懷王\ue000"])
    assert page.evaluate(f"{focused}.textContent") == "懷王\ue000"
    assert page.evaluate(f"{focused}.getAttribute('aria-label')").endswith("; corrected")
    page.keyboard.press("n")  # a new name after this entity
    page.locator("#editor").get_by_role("button", name="End: one character later").press("Enter")
    page.locator("#editor [name=type]:checked").press("Enter")
    start = NASTY.index("使")
    assert download(page) == [
        correction(NASTY_ID, NASTY, 1, 3, chosen),
        correction(NASTY_ID, NASTY, start, start + 2, chosen),
    ]
    page.locator("#corrections summary").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.getAttribute('aria-label')").startswith("Remove: 懷王: ")
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}.className") == "remove"
    page.keyboard.press("Enter")
    expect(page.locator("#corrections")).to_be_hidden()
    assert shown(page) == ([], [])
    assert page.locator("#announcement").inner_text().startswith("Removed. 使")


def test_every_character_of_the_text_is_written_as_it_is(visit, tmp_path):
    doc_id = f"書/{ODD}/\"&<'\U00020bb7"
    write_unit(tmp_path / "t", "u.parquet", [document(doc_id, ODD)], [voted(doc_id, 2, ODD[2:5])])
    build_site(tmp_path / "t", tmp_path / "site")
    page = visit("d/0/0.html", base=(tmp_path / "site").as_uri())
    expected = []
    for i in range(len(ODD)):
        select(page, i, i + 1)
        page.keyboard.press("e")
        choose(page, "NR")
        expected.append(correction(doc_id, ODD, i, i + 1, "NR"))
    assert text_content(page) == ODD.replace("\0", "\ufffd")
    assert download(page) == expected
    page.locator("#clear").click()
    page.locator("#clear").click()
    select(page, 1, len(ODD) - 1)
    page.keyboard.press("e")
    choose(page, "NR", "corpus")
    assert download(page) == [correction(doc_id, ODD, 1, len(ODD) - 1, "NR", "corpus")]
    assert text_content(page) == ODD.replace("\0", "\ufffd")


@pytest.mark.parametrize(("number", "doc_id", "text"), [(0, NASTY_ID, NASTY), (4, f"史/{HOSTILE}", HOSTILE)])
def test_hostile_texts_stay_text(visit, number, doc_id, text):
    page = visit(f"d/0/{number}.html")
    n_scripts = page.locator("script").count()
    select(page, 0, len(text))
    page.keyboard.press("e")
    choose(page, "KIND", "document")
    stripped = text.rstrip()
    assert download(page) == [correction(doc_id, text, 0, len(stripped), "KIND", "document")]
    assert page.locator("script").count() == n_scripts
    select(page, 0, len(stripped))
    page.keyboard.press("e")
    other = page.locator("#editor input[name=other]")
    for wrong in ("", "a b", "a<b", "a>b", "a/b", "a&b"):
        other.fill(wrong)
        other.press("Enter")
        expect(page.locator("#editor .problem")).to_contain_text("without white space")
    page.keyboard.press("Escape")
    assert len(download(page)) == 1


def test_corrections_survive_a_reload_and_are_on_all_pages(visit):
    page = visit("d/0/1.html")
    select(page, 6, 8)
    page.keyboard.press("e")
    choose(page, "NR")
    page.get_by_role("link", name="Next →").first.click()
    page.wait_for_url("**/1-2.html*")
    starts = page.locator("#text").get_attribute("data-starts").split()
    first, end = int(starts[1]), int(starts[2])
    select(page, 0, 1)
    page.keyboard.press("e")
    choose(page, "NB")
    page.reload()
    expect(page.locator("#corrections .number")).to_have_text("2")
    assert shown(page)[0] == [(LONG[first], "NB")]
    expected = [
        correction(LONG_ID, LONG, 6, 8, "NR"),
        correction(LONG_ID, LONG, first, first + 1, "NB", page_start=first, page_end=end),
    ]
    assert download(page) == expected
    page.locator("#corrections li a").first.click()
    page.wait_for_url("**/1.html*#c6")
    assert shown(page)[0] == [(LONG[6:8], "NR")]
    select(page, 6, 8)  # the same place again
    page.keyboard.press("e")
    assert page.locator("#editor [name=type]:checked").get_attribute("value") == str(
        page.evaluate("rayner.types.indexOf('NR')")
    )
    choose(page, "", "corpus")
    assert download(page) == [expected[1], correction(LONG_ID, LONG, 6, 8, "", "corpus")]
    other_document = page.context.new_page()
    other_document.goto(page.url.partition("/1.html")[0] + "/2.html")
    expect(other_document.locator("#corrections .number")).to_have_text("2")
    other_document.locator("#corrections summary").click()
    other_document.locator("#corrections .remove").first.click()
    expect(page.locator("#corrections .number")).to_have_text("1")  # an open page follows


def test_extents_stay_on_the_entity_and_on_the_page(visit):
    page = visit("d/0/2.html")  # 屈原既放。, with an entity on 屈原
    marks(page).nth(0).click()
    page.locator("#card").get_by_role("button", name="Correct").click()
    editor = page.locator("#editor")
    for name, times, expected in [
        ("Start: one character earlier", 1, "屈原"),
        ("End: one character later", 5, "屈原既放。"),
        ("End: one character earlier", 9, "屈"),
        ("Start: one character later", 2, "原"),
        ("End: one character later", 1, "原既"),
    ]:
        for _ in range(times):
            editor.get_by_role("button", name=name).click()
        assert editor.locator(".preview b").text_content() == expected
        assert "".join(page.locator("#text .editing").all_text_contents()) == expected
    editor.get_by_role("button", name="Cancel").click()
    assert page.locator("#text .editing").count() == 0
    expect(page.locator("#corrections")).to_be_hidden()


def test_where_storage_is_denied_the_page_keeps_corrections_and_says_so(visit):
    page = visit("d/0/2.html", script=DENIED)
    select(page, 2, 3)
    page.keyboard.press("e")
    choose(page, "NR")
    page.locator("#corrections summary").click()
    expect(page.locator("#corrections .problem")).to_contain_text("lost when you leave")
    assert download(page) == [correction("獨", "屈原既放。", 2, 3, "NR")]


def test_two_sites_do_not_mix(visit, site, tmp_path):
    """Two sites of one corpus, and two corpora at one address."""
    page = visit("site/d/0/2.html", base=site.parent.as_uri())
    select(page, 2, 3)
    page.keyboard.press("e")
    choose(page, "NR")
    shutil.copytree(site, tmp_path / "copy")
    page.goto((tmp_path / "copy" / "d/0/2.html").as_uri())
    expect(page.locator("#corrections")).to_be_hidden()
    write_corpus_of_site(tmp_path / "t")
    write_unit(tmp_path / "t", "unit-2.parquet", [document("另", "屈原")])
    build_site(tmp_path / "t", tmp_path / "other")
    for folder, count in ((tmp_path / "copy", 0), (tmp_path / "other", 0), (tmp_path / "copy", 1)):
        served = tmp_path / "served"
        shutil.rmtree(served, ignore_errors=True)
        shutil.copytree(folder, served)
        page.goto((served / "d/0/2.html").as_uri())
        expect(page.locator("#corrections .number")).to_have_text(str(count))
        if not count and folder.name == "copy":
            select(page, 3, 4)
            page.keyboard.press("e")
            choose(page, "NR")
    page.goto((site / "d/0/2.html").as_uri())
    expect(page.locator("#corrections .number")).to_have_text("1")


def test_corrections_in_chinese(visit):
    page = visit("d/0/0.html", locale="zh-CN")
    marks(page).nth(0).click()
    page.locator("#card").get_by_role("button", name="更正").click()
    editor = page.locator("#editor")
    assert editor.get_by_role("button").evaluate_all("all => all.map(one => one.title || one.textContent)") == [
        "起点前移一字", "起点后移一字", "终点前移一字", "终点后移一字", "保存", "取消",
    ]  # fmt: skip
    choose(page, "NR", "corpus")
    page.locator("#corrections summary").click()
    row = page.locator("#corrections li")
    assert re.sub(r"\s+", " ", row.inner_text()).endswith("NR · 全语料各处 修改 撤销")
    assert page.locator("#announcement").inner_text() == "已保存。楚：NR 人名，全语料各处"
    english = page.locator("#corrections, #editor").locator(
        "button:not([title]), small, legend, summary > span:not(.number)"
    )
    assert english.filter(has_not_text=re.compile("[\u4e00-\u9fff]")).all_text_contents() == []
    page.locator("#language").click()
    assert "everywhere in the corpus" in row.inner_text()
    page.locator("#text .fix").click()
    editor.get_by_role("button", name="Remove correction").click()
    expect(page.locator("#corrections")).to_be_hidden()


def test_served_it_is_the_same(visit, site):
    httpd = create_server(site, 0)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        page = visit("d/0/2.html", base=f"http://127.0.0.1:{httpd.server_port}")
        select(page, 2, 3)
        page.keyboard.press("e")
        choose(page, "NR")
        page.reload()
        assert download(page) == [correction("獨", "屈原既放。", 2, 3, "NR")]
    finally:
        httpd.shutdown()
        httpd.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "dir"), [(1280, "h"), (1280, "v"), (360, "h")])
def test_the_editor_and_the_panel_fit_the_window(visit, scheme, width, dir):
    page = visit(f"d/0/0.html?dir={dir}", color_scheme=scheme, viewport={"width": width, "height": 780})
    for i, type_name, scope in [(0, "NS", "corpus"), (1, "", "here"), (3, "NB", "here")]:
        marks(page).nth(i).click()
        page.locator("#card").get_by_role("button", name="Correct").click()
        choose(page, type_name, scope)
        page.mouse.move(1, 1)  # the pointer may be over an entity now, whose card would cover the next one
        expect(page.locator("#card")).to_be_hidden()
    page.evaluate("rayner.correctMark(2)")
    page.locator("#corrections summary").click()
    for name in ("#editor", "#corrections"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width, name
        assert box["y"] >= 0, name
        assert box["y"] + box["height"] <= 780, name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
