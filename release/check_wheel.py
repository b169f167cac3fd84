"""Whether a wheel works where nothing else of rayner is: `python release/check_wheel.py dist/rayner-*.whl`.

Makes an empty environment in a temporary folder, installs the wheel there, and uses it from that folder: the command,
the library, its types, and a job of this clone. Says what it did; any failure ends it.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

TYPED = """
from rayner.text.spans import Span

start: int = Span(0, 1, "NR").start
wrong: str = Span(0, 1, "NR").start
"""


def run_command(folder: Path, *command: str | Path, code: int = 0) -> str:
    """What it printed. Raises RuntimeError if its exit code is another."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "MYPYPATH"))}
    started = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    shown = " ".join(Path(part).name if Path(part).is_absolute() else str(part) for part in command)
    if done.returncode != code:
        raise RuntimeError(f"{shown}: expected exit code {code}, found {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"{time.monotonic() - started:6.1f} s  {shown.splitlines()[0]}", flush=True)
    return done.stdout


def check(wheel: Path, folder: Path) -> None:
    """All of it, in that folder. Raises RuntimeError for what does not work."""
    venv.create(folder / "env", with_pip=True)
    bin_ = folder / "env" / "bin"
    run_command(folder, bin_ / "pip", "install", "--quiet", wheel, "mypy")
    run_command(folder, bin_ / "pip", "check")
    check_installed_wheel(bin_, folder)


def check_installed_wheel(bin_: Path, folder: Path) -> None:
    """What is installed."""
    (folder / "typed.py").write_text(TYPED, encoding="utf-8")
    lies = Path(run_command(folder, bin_ / "python", ROOT / "release" / "use_library.py", folder).strip())
    if bin_.parent not in lies.parents:
        raise RuntimeError(f"import rayner: expected it from {bin_.parent}, found {lies}")
    version = run_command(folder, bin_ / "rayner", "--version").strip()
    for part in ("eval", "view", "export", "review", "status", "doctor"):
        run_command(folder, bin_ / "rayner", part, "--help")
    if "100.00" not in run_command(folder, bin_ / "rayner", "eval", "gold.txt", "gold.txt"):
        raise RuntimeError("rayner eval: expected an F1 of 100.00 of a file against itself")
    for form in ("evahan", "tei", "csv"):
        run_command(folder, bin_ / "rayner", "export", "tagged", "--to", form, f"as_{form}")
    run_command(folder, bin_ / "rayner", "view", "tagged", "--out", "site")
    told = run_command(folder, bin_ / "mypy", "--strict", "typed.py", code=1)
    if told.count("error:") != 1 or "typed.py:5" not in told:
        raise RuntimeError(f"mypy: expected one error, in line 5 of typed.py, found\n{told}")
    job, settings = ROOT / "jobs/pipeline.py", ROOT / "jobs/conf/tiny.yaml"
    given = [f"train={ROOT / 'sample/labelled.txt'}", f"corpus={ROOT / 'sample/corpus'}", "run=run", "--dry-run"]
    run_command(folder, bin_ / "python", job, "--config", settings, *given)
    print(f"rayner {version} works from its wheel")


def main(wheel: str) -> None:
    """Check it and tidy up."""
    with tempfile.TemporaryDirectory() as folder:
        check(Path(wheel).resolve(), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
