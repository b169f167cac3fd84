"""One table of entity types, which every room that names types agrees with."""

from rayner.config.model_settings import DEFAULT_TYPE_GLOSSES
from rayner.corpus.exports import docusky, markus, tei
from rayner.rendering import type_styles
from rayner.text.entity_types import ENTITY_TYPES, sort_types

CODES = [entity_type.code for entity_type in ENTITY_TYPES]


def test_every_type_is_there_once():
    assert len(set(CODES)) == len(CODES) == 12
    assert list(DEFAULT_TYPE_GLOSSES) == CODES


def test_known_types_come_first_in_the_order_of_the_table():
    assert sort_types(["X", "T", "NR", "A", "NR", "ZA"]) == ["NR", "T", "ZA", "A", "X"]
    assert sort_types([]) == []


def test_what_exports_and_colours_name_are_types_of_the_table():
    assert list(type_styles._COLOURS) == CODES
    for export_format in (tei.TEI, markus.MARKUS, docusky.DOCUSKY):
        assert set(export_format.type_names) <= set(CODES)
