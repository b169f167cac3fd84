"""Imports point down only, and heavy libraries stay in their rooms."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A room may import the rooms below its own floor, and those on it; nothing above.
FLOORS = [
    {"errors"},
    {"ner", "config", "storage", "status", "outside"},
    {"models", "corpus", "run", "settings", "lock", "progress"},
    {"cluster", "report"},
    {"bench"},
    {"cli"},
    {"commands"},
    {"__main__"},
]
HEAVY = ("ray", "torch", "transformers", "peft", "deepspeed", "faiss", "matplotlib", "pyarrow")


def floor_of(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
        found |= {name.split(".")[1] for name in names if name.startswith("rayner.")}
    return found


def sources() -> list[Path]:
    return [
        path for path in (ROOT / "rayner").rglob("*.py") if path.parent != ROOT / "rayner" or path.stem != "__init__"
    ]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = path.relative_to(ROOT / "rayner").parts[0].removesuffix(".py")
    above = {room for room in rooms_imported(path) if floor_of(room) > floor_of(own)}
    assert not above


def test_every_room_has_a_floor():
    rooms = {path.relative_to(ROOT / "rayner").parts[0].removesuffix(".py") for path in sources()}
    assert rooms == set().union(*FLOORS)


def test_ray_is_named_in_its_room_alone():
    at = [path.parent.name for path in sources() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
          if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "ray" for alias in node.names))
          or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray")]  # fmt: skip
    assert set(at) == {"cluster"}


def test_the_largest_room_names_each_of_its_files():
    room = ROOT / "rayner" / "cluster"
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert set(re.findall(r"`(\w+)`", told)) == {path.stem for path in room.glob("[a-z]*.py")}


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name for name in HEAVY if name in out.stdout.split()}


def every_module_of(room: str) -> str:
    """But for those of an engine with an environment of its own."""
    stems = [path.stem for path in sorted((ROOT / "rayner" / room).glob("[a-z]*.py")) if path.stem != "engine_vllm"]
    return ", ".join(f"rayner.{room}.{stem}" for stem in stems)


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("rayner", set()),
        (every_module_of("ner") + ", rayner.config, rayner.settings, rayner.run, rayner.errors", set()),
        ("rayner.corpus.readers, rayner.corpus.tables, rayner.corpus.scored, rayner.corpus.exports", {"pyarrow"}),
        ("rayner.report.assemble, rayner.commands", {"pyarrow"}),
        ("rayner.cluster.tag", {"ray", "pyarrow"}),
    ],
)
def test_a_clean_process_loads_nothing_heavy(module, allowed):
    assert loaded_by(module) <= allowed


@pytest.mark.slow
def test_models_and_training_run_without_ray():
    assert "ray" not in loaded_by(every_module_of("models"))
