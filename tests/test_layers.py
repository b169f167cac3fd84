"""Imports point down only, and heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the bottom up. A room imports rooms before it in this list, never a later one.
ROOMS = [
    "errors", "text", "config", "fusion", "evaluation", "runs", "corpus", "modeling", "checkpoints", "pretraining",
    "taggers", "llm", "decoding", "cluster", "rendering", "site", "report", "steps", "tagging",
    "doctor", "bench", "cli",
    "__main__",
]  # fmt: skip
PURE = ("text", "config", "fusion", "evaluation", "runs")
HEAVY = ("ray", "torch", "transformers", "peft", "deepspeed", "faiss", "matplotlib", "pyarrow")


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
        found |= {name.split(".")[1] for name in names if name.startswith("rayner.")}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "rayner").parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [
        path for path in (ROOT / "rayner").rglob("*.py") if path.parent != ROOT / "rayner" or path.stem != "__init__"
    ]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = room_of(path)
    assert {room for room in rooms_imported(path) if ROOMS.index(room) > ROOMS.index(own)} == set()


def test_every_room_is_in_the_order():
    assert {room_of(path) for path in sources()} == set(ROOMS)


def test_few_rooms_import_ray():
    at = [room_of(path) for path in sources() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
          if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "ray" for alias in node.names))
          or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray")]  # fmt: skip
    assert set(at) == {"cluster", "doctor", "steps"}


def test_only_jobs_and_steps_get_all_settings():
    """A component takes its own section of the settings."""
    rooms = {
        room_of(path)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "rayner.config.settings"
        if "Config" in [alias.name for alias in node.names]
    }
    assert rooms == {"config", "cli", "steps", "tagging", "doctor", "bench"}


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name for name in HEAVY if name in out.stdout.split()}


def every_module_of(room: str) -> str:
    """But for those of an engine with an environment of its own."""
    stems = {path.stem for path in (ROOT / "rayner" / room).glob("[a-z]*.py")} - {"vllm_engine"}
    return ", ".join(f"rayner.{room}.{stem}" for stem in sorted(stems))


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("rayner", set()),
        (", ".join(map(every_module_of, PURE)) + ", rayner.errors", set()),
        (
            every_module_of("corpus") + ", rayner.corpus.exports",
            {"pyarrow"},
        ),
        ("rayner.report.run_report, rayner.cli", {"pyarrow"}),
        ("rayner.steps.tag.tag_corpus", {"ray", "pyarrow"}),
        # What Ray's processes import to fit a rule and to control a training, and the driver of a job.
        ("rayner.steps.fusion_search", {"ray", "pyarrow"}),
        ("rayner.steps.training.train_stage", set()),
        ("rayner.steps.pipeline", {"ray", "pyarrow", "torch", "faiss"}),
    ],
)
def test_a_clean_process_loads_nothing_heavy(module, allowed):
    assert loaded_by(module) <= allowed


@pytest.mark.slow
def test_models_and_training_run_without_ray():
    assert "ray" not in loaded_by(
        ", ".join(map(every_module_of, ("modeling", "checkpoints", "taggers", "llm", "decoding")))
    )
