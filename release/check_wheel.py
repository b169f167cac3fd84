"""Check that a wheel works on a machine without a clone: `python release/check_wheel.py dist/rayner-*.whl`.

The script makes an empty environment in a temporary folder, installs the wheel, and uses it from there: the command,
the library, its types, and the bundled configurations. It prints each command and ends at the first failure.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

TYPED_PROGRAM = """
from rayner.text.spans import Span

start: int = Span(0, 1, "NR").start
wrong: str = Span(0, 1, "NR").start
"""


def run_command(folder: Path, *command: str | Path, code: int = 0) -> str:
    """Run a command in a folder and return its output. Raises RuntimeError if it ends with another exit code."""
    own_settings = ("PYTHON", "VIRTUAL_ENV", "MYPYPATH")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own_settings)}
    started = time.monotonic()
    result = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    shown = " ".join(Path(part).name if Path(part).is_absolute() else str(part) for part in command)
    if result.returncode != code:
        output = f"{result.stdout}{result.stderr}"
        raise RuntimeError(f"{shown}: expected exit code {code}, found {result.returncode}\n{output}")
    print(f"{time.monotonic() - started:6.1f} s  {shown.splitlines()[0]}", flush=True)
    return result.stdout


def install_and_check(wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment in `folder` and check it. Raises RuntimeError if a part fails."""
    venv.create(folder / "env", with_pip=True)
    bin_ = folder / "env" / "bin"
    run_command(folder, bin_ / "pip", "install", "--quiet", f"rayner[cpu] @ {wheel.absolute().as_uri()}", "mypy")
    run_command(folder, bin_ / "pip", "check")
    check_installed_wheel(bin_, folder)


def check_installed_wheel(bin_: Path, folder: Path) -> None:
    """Use the installed package from `folder`. Raises RuntimeError if a part fails."""
    (folder / "typed.py").write_text(TYPED_PROGRAM, encoding="utf-8")
    package = Path(run_command(folder, bin_ / "python", ROOT / "release" / "use_library.py", folder).strip())
    if bin_.parent not in package.parents:
        raise RuntimeError(f"import rayner: expected it from {bin_.parent}, found {package}")
    version = run_command(folder, bin_ / "rayner", "--version").strip()
    for subcommand in ("run", "train-slm", "eval", "view", "export", "review", "status", "doctor", "fetch"):
        run_command(folder, bin_ / "rayner", subcommand, "--help")
    if "100.00" not in run_command(folder, bin_ / "rayner", "eval", "gold.txt", "gold.txt"):
        raise RuntimeError("rayner eval: expected F1 100.00 for a file against itself, found another")
    for export_format in ("evahan", "tei", "csv"):
        run_command(folder, bin_ / "rayner", "export", "tagged", "--to", export_format, f"as_{export_format}")
    run_command(folder, bin_ / "rayner", "view", "tagged", "--out", "site")
    output = run_command(folder, bin_ / "mypy", "--strict", "typed.py", code=1)
    if output.count("error:") != 1 or "typed.py:5" not in output:
        raise RuntimeError(f"mypy: expected one error, in line 5 of typed.py, found\n{output}")
    run_command(folder, bin_ / "rayner", "run", "demo", "--dry-run")
    run_command(folder, bin_ / "rayner", "run", "laptop", "run=run", "train=gold.txt", "corpus=none", code=2)
    print(f"rayner {version} works from its wheel")


def main(wheel: str) -> None:
    """Check a wheel in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        install_and_check(Path(wheel).resolve(), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
