"""`make drill`: fifty jobs, each disturbed three to six times, resumed, and compared with one that was left alone.

The first disturbance strikes over unit 0, except where the disk is full or the object store is cut.
"""

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
    killed_workers,
    lost_nodes,
    object_store,
    paused,
    signalled,
    stopped_actors,
    tagged_files,
)
from tests.drills.ground import Ground, ground

COUNTS = {
    "actor": 9, "worker": 4, "driver": 9, "sigterm": 6, "interrupt": 5, "stop": 4, "pause": 3, "raylet": 3, "disk": 3,
    "store": 4,
}  # fmt: skip
MIN_KILLS, MAX_KILLS = 3, 6


def drill(kind: str, seed: int, place: Ground, wire: Wire, settings: dict[str, str]) -> dict[str, object]:
    """One drill: what was disturbed, how often the command was given, whether the output is the undisturbed one."""
    draw, began = random.Random(seed), Counter[str]()
    remote = kind == "store"
    out = f"s3://drill/{kind}-{seed}" if remote else str(place.folder / f"{kind}-{seed}")
    kills = draw.randint(MIN_KILLS, MAX_KILLS)
    disturb = {
        "actor": lambda: killed_workers(place, out, kills, draw, True, began),
        "worker": lambda: killed_workers(place, out, kills, draw, False, began),
        "driver": lambda: signalled(place, out, kills, draw, signal.SIGKILL, began),
        "sigterm": lambda: signalled(place, out, kills, draw, signal.SIGTERM, began),
        "interrupt": lambda: signalled(place, out, kills, draw, signal.SIGINT, began),
        "stop": lambda: stopped_actors(place, out, kills, draw, began),
        "pause": lambda: paused(place, out, kills, draw, began),
        "raylet": lambda: lost_nodes(place, out, kills, draw, began),
        "disk": lambda: full_disk(place, out, kills, draw, began),
        "store": lambda: cut_store(place, out, kills, draw, wire, settings),
    }
    begun = time.monotonic()
    hits = disturb[kind]()
    code = place.code
    times = place.finish(out, began, **(settings if remote else {}))
    found = tagged_files(out)
    differ = sorted(name for name in found.keys() | place.files.keys() if found.get(name) != place.files.get(name))
    clear(out)
    again = max(sum(n for name, n in began.items() if stage in name) - place.units for stage in (".slm.", ".llm."))
    return {
        "kind": kind, "seed": seed, "kills": kills, "hits": hits, "code": code,
        "again": times, "same": not differ, "differ": differ[:5],
        "seconds": round(time.monotonic() - begun, 1),
        "repeated_units": None if remote else max(0, again), "units": place.units,
    }  # fmt: skip


def summary(done: Sequence[dict[str, object]]) -> str:
    """Passed of run by kind, and the work repeated."""
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in done):
        rows = [row for row in done if row["kind"] == kind]
        repeated = [int(str(row["repeated_units"])) for row in rows if row["repeated_units"] is not None]
        told = f"; units repeated: median {statistics.median(repeated):g}, worst {max(repeated)}" if repeated else ""
        told = f"; {sum(row['code'] == 0 for row in rows)} went on by themselves{told}"
        hits = [int(str(row["hits"])) for row in rows]
        same = sum(bool(row["same"]) for row in rows)
        lines.append(
            f"{kind:<9} {same} of {len(rows)} same; {sum(hits)} faults, {min(hits)} to {max(hits)} a job{told}"
        )
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
