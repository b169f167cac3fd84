"""Each example of `docs/labels.md` is read, and its tables have what the code has."""

import re

import pytest

from rayner.config.settings import LAYOUTS
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labels.entity_cells import read_entity_cell
from rayner.corpus.labels.entity_places import place_entities
from rayner.corpus.labels.sheets.rows import COLUMN_NAMES
from rayner.corpus.labels.tei import ENTITY_ELEMENTS
from tests.docs.pages import table_after, text_of

PAGE = "docs/labels.md"
SECTIONS = re.findall(r"^### `([\w-]+)`(?: and `xlsx`)?: .*?\n(.*?)(?=^##)", text_of(PAGE), re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (layout, text)
    for layout, section in SECTIONS
    for text in re.findall(r"^```\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
]
ENTITIES = [("懷王", "NR"), ("秦", "NS"), ("屈原", "NR")]


def test_every_layout_has_an_example():
    assert [layout for layout, _ in SECTIONS] == [name for name in LAYOUTS if name not in ("auto", "xlsx")]
    assert {layout for layout, _ in EXAMPLES} == {layout for layout, _ in SECTIONS}


@pytest.mark.parametrize(("layout", "text"), EXAMPLES)
def test_an_example_is_recognised_and_read(tmp_path, layout, text):
    (tmp_path / "example").write_text(text, encoding="utf-8")
    labelled = read_labelled_file(tmp_path / "example")
    assert labelled.layout == layout
    assert "懷王入秦。屈原諫之。".startswith(labelled.text.removesuffix("\n"))
    entities = [(labelled.text[span.start : span.end], span.type) for span in labelled.spans]
    assert entities == ENTITIES[: len(entities)]
    assert len(entities) == (2 if layout in ("evahan", "conll") else 3)


def test_every_name_of_a_column_is_listed():
    rows = [re.findall(r"`([^`]+)`", row[1]) for row in table_after(PAGE, "### `csv` and `xlsx`: spreadsheets")]
    order = ("text", "entities", "entity", "type", "start", "end", "document")
    assert [[name.replace(" ", "") for name in names] for names in rows] == [[*COLUMN_NAMES[role]] for role in order]


def test_every_spelling_of_a_cell_that_is_listed_is_read():
    rows = table_after(PAGE, "These spellings of a cell are read:")
    cells = [code for row in rows for code in re.findall(r"`([^`]{5,})`", " ".join(row))]
    assert len(cells) == 11
    for cell in cells:
        assert place_entities("懷王入秦。", read_entity_cell(cell, PAGE)), cell


def test_every_element_of_tei_that_is_an_entity_is_listed():
    section = dict(SECTIONS)["tei"]
    assert set(re.findall(r"`([a-zA-Z]+)`", section.partition("```")[0])) >= ENTITY_ELEMENTS
