"""The notebook of the quick start runs from its first cell to its last and shows what its stored outputs show.

WRITE_NOTEBOOK=1 in the environment stores what it shows now, after a change of a cell.
"""

import ast
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.cluster.small import ROOT

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def run_cell(source, namespace):
    """Run a cell as a notebook does; return what it prints and its last value."""
    if source.startswith("!"):
        command = [sys.executable, "-m", *source[1:].split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return "", None
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), namespace)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None
    return printed.getvalue(), value


def shown(output):
    """What a stored output shows, with HTML as text: each entity with its type."""
    if output["output_type"] == "stream":
        return "".join(output["text"])
    data = output["data"]
    return re.sub(r"<style.*?</style>|<[^>]*>", "", "".join(data.get("text/html") or data["text/plain"]), flags=re.S)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_stored_in_it(tmp_path, monkeypatch):
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    namespace = {}
    for cell in cells:
        printed, value = run_cell("".join(cell["source"]), namespace)
        found = []
        if printed:
            found.append({"name": "stdout", "output_type": "stream", "text": printed.splitlines(keepends=True)})
        if value is not None:
            data = {"text/plain": repr(value).splitlines(keepends=True)}
            if hasattr(value, "_repr_html_"):
                data["text/html"] = value._repr_html_().splitlines(keepends=True)
            found.append({"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"})
        cell["found"] = found
    if os.environ.get("WRITE_NOTEBOOK"):
        whole = json.loads(NOTEBOOK.read_text())
        fresh = iter(cells)
        for cell in whole["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = next(fresh)["found"]
        NOTEBOOK.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
        return
    for cell in cells:
        assert list(map(shown, cell["found"])) == list(map(shown, cell["outputs"])), cell["source"]
    assert Path("run/report.html").exists()
