"""Write the SBOM of a release, `rayner-VERSION.cdx.json` (CycloneDX): `python release/sbom.py CYCLONEDX FOLDER`.

It lists the packages of requirements.lock, requirements-build.lock and requirements-cuda.lock with their versions and
the SHA-256 of all their files. `make dist` calls this.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import rayner

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"^[\w.-]+==.*\n(?:    .*\n)*", re.M)  # of a lock file
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1], encoding="utf-8").read()))
"""
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-cuda.lock")


def main(cyclonedx: str, folder: str) -> None:
    """Write the SBOM.

    cyclonedx: path of the program cyclonedx-py.
    folder: the folder to write to.
    """
    command = [
        cyclonedx, "requirements", "-", "--pyproject", "pyproject.toml", "--mc-type", "application",
        "--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible",
    ]  # fmt: skip
    requirements = "".join((ROOT / name).read_text(encoding="utf-8") for name in LOCKS)
    output = subprocess.run(command, cwd=ROOT, input=requirements, check=True, stdout=subprocess.PIPE, text=True).stdout
    sbom = complete_sbom(json.loads(output))
    check_sbom(sbom, requirements)
    path = Path(folder, f"rayner-{rayner.__version__}.cdx.json")
    path.write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    subprocess.run([Path(cyclonedx).with_name("python"), "-c", _VALIDATE, path], check=True)
    print(f"{path}: {len(sbom['components'])} packages")


def complete_sbom(sbom: dict[str, Any]) -> dict[str, Any]:
    """Add what the tool cannot know: the version of rayner, which is dynamic, and that rayner needs every package.

    The description of a component repeats its entry in the lock, so it is left out.
    """
    root = sbom["metadata"]["component"]
    root["version"], root["purl"] = rayner.__version__, f"pkg:pypi/rayner@{rayner.__version__}"
    for component in sbom["components"]:
        component.pop("description", None)
    refs = sorted(component["bom-ref"] for component in sbom["components"])
    sbom["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": refs}, *({"ref": ref} for ref in refs)]
    return sbom


def check_sbom(sbom: dict[str, Any], requirements: str) -> None:
    """Raise ValueError unless the SBOM has exactly the packages, versions and hashes of the lock files.

    requirements: the content of the lock files.
    """
    expected = {
        (*entry.split(" ")[0].split("=="), frozenset(HASH.findall(entry))) for entry in ENTRY.findall(requirements)
    }
    found = {
        (component["name"], component["version"], frozenset(
            digest["content"] for reference in component["externalReferences"] for digest in reference["hashes"]
        ))
        for component in sbom["components"]
    }  # fmt: skip
    differing = sorted({f"{name} {version}" for name, version, _ in expected ^ found})
    if differing or not expected:
        raise ValueError(f"SBOM: expected the packages of the locks, found differences: {', '.join(differing)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
