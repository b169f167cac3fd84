"""The table of rooms in CONTRIBUTING.md has the order of imports and the heavy libraries that rooms import."""

import ast

import pytest

from tests.docs.pages import table_after
from tests.test_layers import HEAVY, ROOMS, room_of, sources

ROWS = table_after("CONTRIBUTING.md", "## Rooms")


def test_the_rooms_stand_in_the_order_of_imports():
    assert [row[0].strip("`") for row in ROWS] == ROOMS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_a_room_imports_the_heavy_libraries_of_its_row(row):
    room, purpose, libraries = row
    assert purpose
    assert heavy_imports(room.strip("`")) == {name for name in libraries.split(", ") if name}


def heavy_imports(room):
    """The heavy libraries that a room's modules import, at the top or later."""
    modules = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if room_of(path) == room else ():
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
    return {name.partition(".")[0] for name in modules} & set(HEAVY)
