"""A report of names, texts, types and settings that try to become code: they stay text."""

from dataclasses import replace

import pytest

from rayner.report.page import TaggedSample
from tests.corpus.test_hostile_names import PAYLOADS
from tests.report.records import make_evaluation
from tests.report.test_report_page import page


@pytest.fixture(scope="module")
def evaluation():
    return make_evaluation()


def make_report(folder, evaluation, word):
    """The page of a report in which every name and text is the same word."""
    folder.mkdir()
    first, *others = evaluation.disagreements
    changed = replace(evaluation, disagreements=(replace(first, doc_id=word), *others))
    sample = TaggedSample(word, word, [{"start": 0, "end": 2, "type": word}, {"start": 2, "end": 3, "type": "NR"}])
    facts = {"inputs": {word: word}, word: {word: [word]}, "faults": {word: 1}}
    return page(folder, title=word, evaluation=changed, facts=facts, samples=[sample])


def read_elements(html):
    return {(tag, name) for tag, attributes in html.elements for name in (None, *attributes)}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_payload_becomes_an_element_or_an_attribute(tmp_path, evaluation, payload):
    harmless = make_report(tmp_path / "harmless", evaluation, "楚\0\u2028懷王𠀀")  # odd characters are marked
    hostile = make_report(tmp_path / "hostile", evaluation, payload)
    assert read_elements(hostile) <= read_elements(harmless)
    assert len(hostile.tags("script")) == len(harmless.tags("script"))
    assert not any("alert(1)" in part or "7*7" in part for part in hostile.style)
    assert "49" not in payload
    raw = (tmp_path / "hostile" / "report.html").read_text(encoding="utf-8")
    assert raw.count("<!DOCTYPE") + raw.count("<!doctype") == 1
    assert "<!--" not in raw
