"""The licences of what rayner needs to run: `python release/licences.py` writes docs/licences.md.

From what the packages themselves declare, in the environment of requirements.lock: the dependencies of pyproject.toml
and all that those need on this platform. What only develops or tests rayner is not listed, nor what the extras bring.
"""

import re
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# The weak ones too: a changed file under the MPL stays under it.
COPYLEFT = re.compile(r"\b[AL]?GPL|\bMPL|\bEPL|\bCDDL|\bEUPL|General Public|Mozilla")
PAGE = """# Licences of dependencies

rayner is under Apache-2.0. The packages below run beside it; none of their code is in its wheel. The list is written by
`make licences` from what the packages declare; bold ones are named in `pyproject.toml`. Not listed: what the extras
bring, and NVIDIA's libraries, under terms of their own, which torch's builds for GPUs need. Models have terms too: look
at them before you use one.

Under a copyleft licence: {copyleft}.

| package | version | licence |
|---|---|---|
{rows}
"""
SHORT = {  # classifiers, in the spelling of SPDX where they name one licence
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def direct_dependencies() -> list[Requirement]:
    """The runtime dependencies of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"]]


def installed_closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """The installed packages that they need, themselves included, by canonical name.

    Raises PackageNotFoundError if one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    todo = [(item, extra) for item in requirements for extra in ("", *item.extras)]
    seen = set()
    while todo:
        item, extra = todo.pop()
        name = canonicalize_name(item.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found[name] = distribution(item.name)
        for line in found[name].requires or []:
            further = Requirement(line)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                todo += [(further, wanted) for wanted in ("", *further.extras)]
    return dict(sorted(found.items()))


def declared_licence(package: Distribution) -> str:
    """What the package declares: the expression, else the classifiers, else the first line of the field."""
    said = {key: package.metadata.get_all(key, []) for key in ("License-Expression", "Classifier", "License")}
    classifiers = [line.rsplit(" :: ", 1)[-1] for line in said["Classifier"] if line.startswith("License :: ")]
    field = "".join(said["License"]).strip().split("\n")[0]
    return "".join(said["License-Expression"]) or ", ".join(SHORT.get(name, name) for name in classifiers) or field


def render_page(packages: dict[str, Distribution], direct_names: set[str]) -> str:
    """The page as Markdown."""
    licences = {name: declared_licence(package) for name, package in packages.items()}
    copyleft = [f"`{name}` ({value})" for name, value in licences.items() if COPYLEFT.search(value)]
    rows = [
        f"| {f'**{name}**' if name in direct_names else name} | {package.version.split('+')[0]} | {licences[name]} |"
        for name, package in packages.items()
    ]
    return PAGE.format(copyleft=", ".join(copyleft) or "none", rows="\n".join(rows))


def main() -> int:
    """Write the page. Exit code 1 if a package declares nothing."""
    requirements = direct_dependencies()
    packages = installed_closure(requirements)
    silent = [name for name, package in packages.items() if not declared_licence(package)]
    if silent:
        print(f"no licence is declared by {', '.join(silent)}", file=sys.stderr)
        return 1
    names = {str(canonicalize_name(item.name)) for item in requirements}
    (ROOT / "docs" / "licences.md").write_text(render_page(packages, names), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
