"""A site of documents whose names, texts and types try to become code: they stay text on every page."""

import json
import re

import pytest
from lxml import html

from rayner.site.build import build_site
from tests.corpus.tagged_corpora import document, write_unit
from tests.corpus.test_hostile_names import NAMES, PAYLOADS
from tests.site_pages.site_units import SEGMENT, voted

ATTRIBUTES_THAT_LOAD_OR_RUN = {"src", "href", "action", "srcset", "style", "formaction", "data"}


def write_corpus(folder, texts):
    """Documents by doc_id: a text, an entity over all of it, and the entity's type."""
    texts = {doc_id: content for doc_id, content in texts.items() if content[0]}
    rows = [voted(doc_id, 0, text, entity_type) for doc_id, (text, entity_type) in texts.items()]
    segments = [{"doc_id": doc_id, "start": 0, "end": len(text), **SEGMENT} for doc_id, (text, _) in texts.items()]
    write_unit(folder, "u.parquet", [document(doc_id, text) for doc_id, (text, _) in texts.items()], rows, segments)


def read_pages(site):
    """The pages as a browser reads them, which takes NUL for U+FFFD."""
    pages = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*.html")}
    return {name: html.fromstring(content.replace(b"\0", b"\xef\xbf\xbd")) for name, content in pages.items()}


def check_that_nothing_runs(site, harmless_site):
    """No page has an element or an attribute that the same site of harmless names does not have."""
    allowed = {
        (e.tag, key) for page in read_pages(harmless_site).values() for e in page.iter("*") for key, _ in e.items()
    }
    for name, page in read_pages(site).items():
        for element in page.iter():
            assert isinstance(element.tag, str), (name, element)  # no comment, no instruction
            for key, value in element.items():
                assert (element.tag, key) in allowed, (name, element.tag, key)
                if key in ATTRIBUTES_THAT_LOAD_OR_RUN:
                    assert not re.match(r"\s*[a-zA-Z]+:", value) or value == "data:,", (name, key, value)
            if element.tag == "script" and element.get("type") == "application/json":
                json.loads(element.text)
            elif element.tag == "script":
                assert element.get("src")
                assert not element.text


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    root = tmp_path_factory.mktemp("harmless")
    odd = "\0\ue000𠀀🀄"  # the pages mark rare characters
    texts = {f"書/{i}": ("懷王", "NR") for i in range(len(NAMES))}
    write_corpus(root / "t", texts | {"獨": ("懷王", "NX"), odd: (odd, "NR"), f"{odd}/{odd}": (odd, odd)})
    build_site(root / "t", root / "site")
    return root / "site"


def test_documents_of_every_name_at_once(tmp_path, harmless):
    write_corpus(tmp_path / "t", dict.fromkeys(NAMES.values(), ("懷王", "NR")))
    build_site(tmp_path / "t", tmp_path / "site")
    pages = read_pages(tmp_path / "site")
    assert len([name for name in pages if name.startswith("d/")]) == len(NAMES)
    for i, doc_id in enumerate(NAMES.values()):
        title = re.sub(r"[^\w<>]", "", doc_id.rpartition("/")[2])
        assert title in re.sub(r"[^\w<>]", "", pages[f"d/0/{i}.html"].find(".//h1").text_content())
    check_that_nothing_runs(tmp_path / "site", harmless)
    for path in (tmp_path / "site").rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name), path  # no name of a document names a file


@pytest.mark.parametrize("place", ["name", "folder", "text", "type"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_payload_runs(tmp_path, harmless, payload, place):
    content = {
        "name": {payload: ("懷王", "NR")},
        "folder": {f"{payload}/a": ("懷王", "NR")},
        "text": {"書/a": (payload, "NR")},
        "type": {"書/a": ("懷王", payload)},
    }[place]
    write_corpus(tmp_path / "t", content)
    build_site(tmp_path / "t", tmp_path / "site")
    check_that_nothing_runs(tmp_path / "site", harmless)
    for script in (tmp_path / "site").rglob("*.js"):
        assert "</script" not in script.read_text(encoding="utf-8").lower()
        assert "\u2028" not in script.read_text(encoding="utf-8")
