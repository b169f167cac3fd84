"""A whole site, made of a small corpus full of oddities; the command; the server."""

import fcntl
import http.client
import json
import os
import re
import shutil
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from rayner.cli import main
from rayner.corpus.run_record import write_run_record
from rayner.corpus.tables import iter_documents
from rayner.errors import ConfigError, DataError
from rayner.runs.output_folder import MARKER_FILE, write_folder_marker
from rayner.site.build import SITE_FILE, SiteSize, build_site, is_up_to_date
from rayner.site.html_text import LlmCoverage
from rayner.site.page_splitting import MAX_PAGE_CHARS
from rayner.site.serve import create_server
from rayner.site.store import MAX_DISAGREEMENTS, SiteDatabase
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.corpus.test_run_record import RECORD
from tests.folders import snapshot
from tests.report.records import make_evaluation
from tests.site_pages.site_units import HOSTILE, LONG, NASTY, voted, write_corpus
from tests.site_pages.test_site_parts import read_places, read_scripts

LIMIT = 2_000_000  # bytes of a file
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """The elements of a page, and its texts by the id of an element around them; all elements must be closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self._open, self.texts = [], [], {}
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in VOID:
            self._open.append((tag, attrs.get("id")))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    def tags(self, name):
        return [attrs for tag, attrs in self.elements if tag == name]


class Built(NamedTuple):
    """A tagged corpus, its site, the result of build_site, the entities of each document, the reported progress."""

    tagged: Path
    site: Path
    size: SiteSize
    rows: list
    progress: list


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("built")
    rows, progress = write_corpus(root / "tagged"), []
    size = build_site(root / "tagged", root / "site", lambda *so_far: progress.append(so_far))
    return Built(root / "tagged", root / "site", size, rows, progress)


def parse_pages(site):
    return {path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_the_result_counts_what_was_written(built):
    tagged, site, size, _, progress = built
    files = [path for path in site.rglob("*") if path.is_file()]
    assert size.pages == len(list(site.rglob("*.html")))
    assert size.files == len(files)
    assert size.bytes == sum(path.stat().st_size for path in files if path.name not in (SITE_FILE, MARKER_FILE))
    assert size.largest_bytes == (site / size.largest_name).stat().st_size < LIMIT
    assert [documents for documents, _ in progress] == [1, 2, 3, 4, 5]
    assert progress[-1][1] == len(NASTY) + len(LONG) + 5 + len(HOSTILE)
    assert sorted(path.name for path in site.parent.iterdir()) == ["site", "tagged"]
    assert is_up_to_date(tagged, site)


@pytest.mark.parametrize("damage", ["", "{", '{"format_version": 1}'])
def test_the_histogram_stands_beside_the_recall_of_the_run(tmp_path, damage):
    tagged, scores, out = tmp_path / "tagged", tmp_path / "evaluation.json", tmp_path / "site"
    write_unit(tagged, "u.parquet", [document("a", "懷王入秦。")], [entity("a", 0, "懷王")])
    build_site(tagged, out)
    note = "How many are missing, a person who marks some sentences"
    assert note in (out / "index.html").read_text(encoding="utf-8")
    evaluation = make_evaluation()
    scores.write_text(damage or json.dumps(evaluation.to_json()), encoding="utf-8")
    assert not is_up_to_date(tagged, out)
    build_site(tagged, out)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert (note in page) == bool(damage)
    recall = f"{100 * evaluation.systems['fused'].micro.recall:.0f}"
    assert (f"Of 100 names in the held-out sentences about {recall} are found" in page) == (not damage)
    shutil.move(tagged, tmp_path / "elsewhere")  # it does not lie as a run's corpus lies in its folder
    build_site(tmp_path / "elsewhere", out)
    assert note in (out / "index.html").read_text(encoding="utf-8")


def test_every_link_leads_somewhere_and_nothing_leads_away(built):
    site = built.site
    for name, page in parse_pages(site).items():
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), name
        for _, attrs in page.elements:
            for attribute in ("href", "src"):
                target = attrs.get(attribute, "data:,")
                if target == "data:,":
                    continue
                parts = urlsplit(target)
                assert not parts.scheme, (name, target)
                assert not parts.netloc, (name, target)
                path = (site / name).parent / unquote(parts.path) if parts.path else site / name
                assert path.is_file(), (name, target)
                if parts.fragment and not re.fullmatch(r"c\d+", parts.fragment):
                    assert parts.fragment in ids
            for attribute in ("style", "onclick", "srcset", "action"):  # the page's policy forbids them
                assert attribute not in attrs
            for label in ("for", "aria-labelledby", "aria-describedby"):
                assert attrs.get(label, ids[0]) in ids, (name, attrs)
    for path in site.rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            assert not re.search(r"https?:|url\(|@import", path.read_text(encoding="utf-8")), path


def test_pages_are_sound(built):
    site = built.site
    for name, page in parse_pages(site).items():
        assert len(page.tags("h1")) == len(page.tags("main")) == len(page.tags("title")) == 1, name
        assert "default-src 'none'" in next(m["content"] for m in page.tags("meta") if "http-equiv" in m)
        assert all(attrs.get("src", "").count("assets/") or attrs["type"] == "application/json"
                   for attrs in page.tags("script")), name  # fmt: skip
        assert not any("alert" in attrs.get("src", "") for attrs in page.tags("script"))
        navigations = [attrs for tag, attrs in page.elements if tag == "nav"]
        assert all("aria-label" in attrs for attrs in navigations)


def test_the_pages_of_a_document_are_its_text(built):
    site, rows = built.site, built.rows
    pages = parse_pages(site)
    for number, text in enumerate([NASTY, LONG, "屈原既放。", "", HOSTILE]):
        names = [name for name in pages if re.fullmatch(rf"d/0/{number}(-\d+)?\.html", name)]
        names.sort(key=lambda name: int((re.findall(r"-(\d+)", name) or ["1"])[0]))
        assert "".join(pages[name].texts.get("text", "") for name in names) == text.replace("\0", "\ufffd")
        marks = [attrs for name in names for attrs in pages[name].tags("b")]
        assert len(marks) == len(rows[number])
        votes = " ".join(json.loads(pages[name].texts["votes"]) for name in names)
        assert len(votes.split()) == len(marks)
    assert len([name for name in pages if name.startswith("d/0/1")]) == -(-len(LONG) // MAX_PAGE_CHARS) > 2


def test_every_entity_is_in_the_index_with_its_page(built):
    site, rows = built.site, built.rows
    types = json.loads((site / "assets/data.js").read_text(encoding="utf-8").partition("= ")[2].rstrip(";\n"))["types"]
    titles = read_scripts(site, "titles")[0]
    expected = {
        (row["text"], row["type"], row["doc_id"], row["start"]) for document_rows in rows for row in document_rows
    }
    places, listed = read_scripts(site, "places"), []
    for row in (row for shard in read_scripts(site, "names") for row in shard):
        for number, page, offset in read_places(row, places)[0]:
            listed.append((row[0], types[row[1]], titles[number], offset))
            name = f"d/0/{number}{f'-{page + 1}' if page else ''}.html"
            start, end = (int(part) for part in page_bounds(site / name))
            assert start <= offset < end
    assert len(listed) == len(expected)
    assert set(listed) == expected


def page_bounds(path):
    html = path.read_text(encoding="utf-8")
    start, starts = re.search(r'data-start="(\d+)" data-starts="([\d ]*)"', html).groups()
    later = [offset for offset in starts.split() if int(offset) > int(start)]
    return start, later[0] if later else 10**9


def test_disagreements_are_those_where_both_were_asked(built):
    site = built.site
    page = Page((site / "disagreements.html").read_text(encoding="utf-8"))
    links = [attrs["href"] for attrs in page.tags("a") if "#c" in attrs.get("href", "")]
    # By score: 0.2, 0.3, 0.35, 0.4. What was gated or set aside is no disagreement.
    start = NASTY.index("\U000f0001")
    assert links == [f"d/0/0.html#c{start}", "d/0/2.html#c0", "d/0/4.html#c0", "d/0/0.html#c1"]


def test_of_disagreements_the_most_uncertain_are_kept(tmp_path):
    text = "王" * (MAX_DISAGREEMENTS + 500)
    rows = [
        voted("d", i, "王", decided_by="slm", llm_type="NS", score=None if i % 500 == 7 else (i * 7919 % 1501) / 1501)
        for i in range(len(text))
    ]
    write_unit(tmp_path / "t", "u.parquet", [document("d", text)], rows)
    store = SiteDatabase(tmp_path / "base.sqlite")
    store.add_document(0, next(iter_documents(tmp_path / "t")), [0], LlmCoverage([]))
    kept = [disagreement.entity["score"] for disagreement in store.list_most_uncertain_disagreements()]
    everything = sorted(row["score"] for row in rows if row["score"] is not None)
    assert kept == pytest.approx(everything[:MAX_DISAGREEMENTS])
    assert store.unscored == 3
    assert sum(map(sum, store.histogram.values())) == len(text) - 3
    assert store.confusion == {("NR", "NS"): len(text)}
    store.close()


def test_the_densest_page_stays_small(tmp_path):
    text = "\U000f0001" * (MAX_PAGE_CHARS + 1)
    rows = [voted("d", i, text[i], "KIND", score=0.123, decided_by="slm") for i in range(len(text))]
    write_unit(tmp_path / "t", "u.parquet", [document("d", text)], rows)
    assert build_site(tmp_path / "t", tmp_path / "site").largest_bytes < LIMIT


def test_a_corpus_without_anything(tmp_path):
    write_unit(tmp_path / "t", "u.parquet")
    size = build_site(tmp_path / "t", tmp_path / "site")
    assert size.pages == 3
    assert "{{" not in (tmp_path / "site/index.html").read_text(encoding="utf-8")


# ---- whole or not there


def test_another_folder_is_not_touched(built, tmp_path):
    tagged = built.tagged
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("1")
    with pytest.raises(
        ConfigError, match=r"--out: .*expected a new folder, an empty one, or one that rayner wrote before"
    ):
        build_site(tagged, tmp_path / "mine")
    with pytest.raises(ConfigError, match="found a file"):
        build_site(tagged, tmp_path / "mine" / "thesis.txt")
    with pytest.raises(ConfigError, match="--out"):
        build_site(tagged, tagged)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_an_earlier_site_is_replaced_and_one_that_fails_leaves_it(built, tmp_path):
    tagged = built.tagged
    out = tmp_path / "site"
    (tmp_path / ".site.making").mkdir()
    (tmp_path / ".site.making" / "left.html").write_text("of an interrupted build")
    write_folder_marker(tmp_path / ".site.making", "site", {})
    write_unit(tmp_path / "larger", "u.parquet", [document(f"{i}", "王") for i in range(9)])
    build_site(tmp_path / "larger", out)
    assert (out / "d/0/8.html").exists()
    build_site(tagged, out)
    assert not (out / "d/0/8.html").exists()
    write_unit(tmp_path / "bad", "u-0.parquet", [document("a", "王")])
    write_unit(tmp_path / "bad", "u-1.parquet", [document("b", "王")], [entity("b", 0, "秦")])
    before = sorted(path.relative_to(out) for path in out.rglob("*"))
    with pytest.raises(DataError, match="expected entity '秦'"):
        build_site(tmp_path / "bad", out)
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "larger", "site"]
    assert not is_up_to_date(tmp_path / "bad", out)


@pytest.mark.parametrize(
    "name", ["notes.txt", "d/0/notes.html", "index.html", "rayner-site.json", ".hidden", "folder/notes", "link.html"]
)
def test_a_site_to_which_something_was_added_or_in_which_something_was_changed_stays(built, tmp_path, name):
    out = tmp_path / "site"
    build_site(built.tagged, out)
    (out / name).parent.mkdir(exist_ok=True)
    if name == "link.html":
        (out / name).symlink_to(out / "index.html")
    else:
        (out / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(
        ConfigError, match=f"found a file that was added or changed: {re.escape(str(out / name))}: move"
    ):
        build_site(built.tagged, out)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", [".site.making", ".site.old"])
def test_a_folder_of_the_users_with_the_name_of_ours_is_not_touched(built, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("1")
    with pytest.raises(ConfigError, match=r"such as 'thesis\.txt': name another folder"):
        build_site(built.tagged, tmp_path / "site")
    assert snapshot(tmp_path) == {name: False, f"{name}/thesis.txt": b"1"}


def test_a_site_of_an_earlier_version_is_not_known_as_ours(built, tmp_path):
    build_site(built.tagged, tmp_path / "site")
    (tmp_path / "site" / MARKER_FILE).unlink()
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match="did not mark as its own"):
        build_site(built.tagged, tmp_path / "site")
    assert snapshot(tmp_path) == before


def test_two_at_a_time_do_not_mix(built, tmp_path):
    tagged = built.tagged
    (tmp_path / ".site.making").mkdir()
    other = os.open(tmp_path / ".site.making", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="another process builds a site"):
        build_site(tagged, tmp_path / "site")
    os.close(other)
    build_site(tagged, tmp_path / "site")


# ---- the command


def test_view_makes_a_site_beside_the_tables(tmp_path, capsys):
    write_corpus(tmp_path / "t")
    assert main(["view", str(tmp_path / "t")]) == 0
    out = capsys.readouterr().out
    assert re.match(rf"{re.escape(str(tmp_path))}/t/site: \d+ pages, \d+ files, \d\.\d MB; the largest, ", out)
    assert f"open file://{tmp_path}/t/site/index.html" in out
    assert (tmp_path / "t/site/index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none"], "expected a tagged corpus"),
        (["t", "--port", "99999"], "--port: expected 0 to 65535"),
        (["t", "--out", "s3://bucket/site"], "--out: expected a folder on this machine"),
        (["memory://t"], "--out: expected a folder on this machine"),
    ],
)
def test_wrong_arguments_of_view(arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["view", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert expected in message
    assert not any(tmp_path.iterdir())


# ---- the server


def test_the_server_answers_this_machine_only(built):
    site = built.site
    httpd = create_server(site, 0)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    address, port = httpd.server_address[:2]
    assert address == "127.0.0.1"

    def request(path, host):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.headers.get_content_type(), body

    try:
        assert request("/", f"127.0.0.1:{port}") == (200, "text/html", (site / "index.html").read_bytes())
        assert request("/assets/site.js", f"localhost:{port}")[:2] == (200, "text/javascript")
        assert request("/d/0/", f"localhost:{port}")[0] == 404
        assert request("/../tagged/documents/unit-0.parquet", f"localhost:{port}")[0] == 404
        assert request("/", f"evil.example:{port}")[0] == 403
        assert request("/", "")[0] == 403
    finally:
        httpd.shutdown()
        httpd.server_close()


@pytest.mark.parametrize("asks_llm", [True, False])
def test_a_site_of_a_corpus_about_which_no_llm_was_asked_speaks_of_none(built, tmp_path, asks_llm):
    tagged = tmp_path / "tagged"
    shutil.copytree(built.tagged, tagged)
    write_run_record(tagged, replace(RECORD, asks_llm=asks_llm))
    build_site(tagged, tmp_path / "site")
    pages = {path: path.read_text(encoding="utf-8") for path in sorted((tmp_path / "site").rglob("*.html"))}
    speaking = [path.name for path, page in pages.items() if re.search(r"LLM|大模型|Who decided", page)]
    assert bool(set(speaking) - {"index.html"}) == asks_llm
    index = pages[tmp_path / "site" / "index.html"]
    assert ("No LLM was asked" in index) != asks_llm
    assert ("disagreements.html" in index) == (tmp_path / "site" / "disagreements.html").exists() == asks_llm
    data = (tmp_path / "site" / "assets" / "data.js").read_text(encoding="utf-8")
    assert f'"asksLlm":{str(asks_llm).lower()}' in data
    for page in pages.values():
        Page(page)  # all elements are closed


@pytest.mark.parametrize("asks_llm", [True, False])
@pytest.mark.parametrize("by_person", [0, 2])
def test_entities_that_a_person_decided_are_counted_where_there_are_some(tmp_path, asks_llm, by_person):
    text, decider = "楚王使人之秦。", "agree" if asks_llm else "slm"
    rows = [
        voted("書/a", i, text[i], decided_by="person" if i < by_person else decider, slm_type="NS", score=None)
        for i in range(4)
    ]
    write_unit(tmp_path / "t", "u.parquet", [document("書/a", text)], rows)
    write_run_record(tmp_path / "t", replace(RECORD, asks_llm=asks_llm))
    build_site(tmp_path / "t", tmp_path / "site")
    page = (tmp_path / "site" / "d/0/0.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<b class=p0>", page)) == by_person
    assert ('name="by" value="p"' in page) == bool(by_person)
    assert ('name="by" value="l"' in page) == asks_llm
    for name in ("index.html", "book/1.html"):
        overview = (tmp_path / "site" / name).read_text(encoding="utf-8")
        assert ("A person" in overview) == bool(by_person)
    if asks_llm:
        assert "p0" not in (tmp_path / "site" / "disagreements.html").read_text(encoding="utf-8")


def test_an_unknown_decider_is_named(tmp_path):
    write_unit(tmp_path / "t", "u.parquet", [document("a", "王")], [voted("a", 0, "王", decided_by="oracle")])
    with pytest.raises(DataError, match=r"expected decided_by agree, slm, llm or person, found 'oracle'"):
        build_site(tmp_path / "t", tmp_path / "site")
