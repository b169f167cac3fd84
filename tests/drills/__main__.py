"""`make drill`: fifty disturbed jobs, each resumed and compared, byte by byte, with one that was left alone."""

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rayner.runs.job_log import start_logging
from tests.drills.faults import (
    Wire,
    can_mount,
    clear,
    cut_store,
    full_disk,
    killed_worker,
    lost_node,
    object_store,
    signalled,
    tagged_files,
)
from tests.drills.ground import Ground, ground

COUNTS = {"actor": 9, "worker": 8, "driver": 9, "sigterm": 8, "raylet": 6, "disk": 4, "store": 6}


def drill(kind: str, seed: int, place: Ground, wire: Wire, settings: dict[str, str]) -> dict[str, object]:
    """One drill: what was disturbed, how often the command was given, whether the output is the undisturbed one."""
    draw, began = random.Random(seed), Counter[str]()
    remote = kind == "store"
    out = f"s3://drill/{kind}-{seed}" if remote else str(place.folder / f"{kind}-{seed}")
    moment = draw.uniform(0.4, 0.95) * place.seconds
    disturb = {
        "actor": lambda: killed_worker(place, out, moment, draw, True, began),
        "worker": lambda: killed_worker(place, out, moment, draw, False, began),
        "driver": lambda: signalled(place, out, moment, signal.SIGKILL, began),
        "sigterm": lambda: signalled(place, out, moment, signal.SIGTERM, began),
        "raylet": lambda: lost_node(place, out, moment, began),
        "disk": lambda: full_disk(place, out, draw.uniform(0.2, 0.8), began),
        "store": lambda: cut_store(place, out, moment, draw.uniform(1, 20), wire, settings),
    }
    begun = time.monotonic()
    hit = disturb[kind]()
    code = place.code
    times = place.finish(out, began, **(settings if remote else {}))
    found = tagged_files(out)
    differ = sorted(name for name in found.keys() | place.files.keys() if found.get(name) != place.files.get(name))
    clear(out)
    units = sum(name.startswith("segments/") for name in place.files)
    again = max(sum(n for name, n in began.items() if stage in name) - units for stage in (".slm.", ".llm."))
    return {
        "kind": kind, "seed": seed, "hit": hit, "code": code, "again": times, "same": not differ, "differ": differ[:5],
        "seconds": round(time.monotonic() - begun, 1),
        "repeated_units": None if remote else max(0, again), "units": units,
    }  # fmt: skip


def summary(done: Sequence[dict[str, object]]) -> str:
    """Passed of run by kind, and the work repeated."""
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in done):
        rows = [row for row in done if row["kind"] == kind]
        repeated = [int(str(row["repeated_units"])) for row in rows if row["repeated_units"] is not None]
        told = f"; units repeated: median {statistics.median(repeated):g}, worst {max(repeated)}" if repeated else ""
        told = f"; {sum(row['code'] == 0 for row in rows)} went on by themselves{told}"
        hit = sum(bool(row["hit"]) for row in rows)
        lines.append(f"{kind:<8} {sum(bool(row['same']) for row in rows)} of {len(rows)} same; {hit} under way{told}")
    return "\n".join(lines)


def main() -> int:
    """Run the drills; 0 if every output was the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=13, help="of the first drill; each next one counts on")
    parser.add_argument("--kinds", default=",".join(COUNTS), help="which kinds")
    parser.add_argument("--each", type=int, default=0, help="drills of each kind; 0 for the numbers of make drill")
    parser.add_argument("--trained", help="a run to tag with; without it, one is trained")
    parser.add_argument("--json", help="also write each drill's figures there")
    given = parser.parse_args()
    start_logging()
    kinds = [kind for kind in given.kinds.split(",") for _ in range(given.each or COUNTS[kind])]
    done = []
    with (
        tempfile.TemporaryDirectory() as folder,
        object_store() as (wire, settings),
        ground(Path(folder), given.trained) as place,
    ):
        print(f"undisturbed: {place.seconds:.1f} s", flush=True)
        if not can_mount(Path(folder) / "mount"):
            kinds = [kind for kind in kinds if kind != "disk"]
            print("this process may not mount file systems: the disk is not filled", flush=True)
        for i, kind in enumerate(kinds):
            done.append(drill(kind, given.seed + i, place, wire, settings))
            print(f"{i + 1}/{len(kinds)} {json.dumps(done[-1])}", flush=True)
    print(summary(done))
    if given.json:
        Path(given.json).write_text("".join(f"{json.dumps(row)}\n" for row in done))
    return 0 if all(row["same"] for row in done) else 1


if __name__ == "__main__":
    sys.exit(main())
