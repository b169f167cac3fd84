"""Write docs/licences.md, the licences of the packages that rayner needs to run: `python release/licences.py`.

The licences are those that the packages declare, in the environment of requirements.lock. Listed are the dependencies
of pyproject.toml and everything that these need on this platform; not the packages for development, nor those of
extras.
"""

import re
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# Weak copyleft too: a changed file under the MPL stays under it.
COPYLEFT = re.compile(r"\b[AL]?GPL|\bMPL|\bEPL|\bCDDL|\bEUPL|General Public|Mozilla")
PAGE = """# Licences of dependencies

This page lists the licences of the packages that rayner needs. rayner itself is under Apache-2.0, and its wheel holds
no code of these packages. `make licences` writes the list from what the packages declare. Bold packages are named in
`pyproject.toml`. Not listed: the packages of the extras (`rayner[nf4]`: bitsandbytes, MIT), and NVIDIA's libraries,
which torch's builds for GPUs need and which have their own terms.

Models have terms too: read them before you use a model. `make gemma` takes Gemma 3 270M, to which Gemma's terms of use
apply. `make qwen` takes Qwen2.5-Coder-0.5B-Instruct, which its authors published under Apache-2.0. Their weights are no
part of rayner, and no release holds them.

Under a copyleft licence: {copyleft}.

| package | version | licence |
|---|---|---|
{rows}
"""
SPDX_NAMES = {  # of classifiers; the spelling of SPDX where they name one licence
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def direct_dependencies() -> list[Requirement]:
    """Return the runtime dependencies of pyproject.toml, with the FAISS that the locks have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["cpu"]]]


def installed_closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Return the installed packages that the requirements need, themselves included, by canonical name.

    Raises PackageNotFoundError if one of them is not installed.
    """
    packages: dict[str, Distribution] = {}
    queue = [(requirement, extra) for requirement in requirements for extra in ("", *requirement.extras)]
    visited = set()
    while queue:
        requirement, extra = queue.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        packages[name] = distribution(requirement.name)
        for line in packages[name].requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                queue += [(needed, needed_extra) for needed_extra in ("", *needed.extras)]
    return dict(sorted(packages.items()))


def declared_licence(package: Distribution) -> str:
    """Return the licence that a package declares: its expression, else its classifiers, else the field's first line."""
    metadata = {key: package.metadata.get_all(key, []) for key in ("License-Expression", "Classifier", "License")}
    classifiers = [line.rsplit(" :: ", 1)[-1] for line in metadata["Classifier"] if line.startswith("License :: ")]
    field = "".join(metadata["License"]).strip().split("\n")[0]
    expression = "".join(metadata["License-Expression"])
    return expression or ", ".join(SPDX_NAMES.get(name, name) for name in classifiers) or field


def render_page(packages: dict[str, Distribution], direct_names: set[str]) -> str:
    """Render the page as Markdown."""
    licences = {name: declared_licence(package) for name, package in packages.items()}
    copyleft = [f"`{name}` ({licence})" for name, licence in licences.items() if COPYLEFT.search(licence)]
    rows = [
        f"| {f'**{name}**' if name in direct_names else name} | {package.version.split('+')[0]} | {licences[name]} |"
        for name, package in packages.items()
    ]
    return PAGE.format(copyleft=", ".join(copyleft) or "none", rows="\n".join(rows))


def main() -> int:
    """Write the page. Return exit code 1 if a package declares no licence."""
    requirements = direct_dependencies()
    packages = installed_closure(requirements)
    undeclared = [name for name, package in packages.items() if not declared_licence(package)]
    if undeclared:
        print(f"expected each package to declare a licence, found none of {', '.join(undeclared)}", file=sys.stderr)
        return 1
    direct_names = {str(canonicalize_name(requirement.name)) for requirement in requirements}
    (ROOT / "docs" / "licences.md").write_text(render_page(packages, direct_names), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
