"""`python -m tests.fuzz`: many broken inputs to all that reads, and a table of what became of them."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

COLUMNS = "{:<22}{:>10}{:>10}{:>17}{:>6}{:>10}"


def main() -> int:
    """Run each target in a process of its own, so that none can take the others with it; 1 if one found a bug."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs, over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time")
    parser.add_argument("--target", help="one target alone, in this process")
    given = parser.parse_args()
    if given.target:
        print(json.dumps(one(given.target, given.inputs, given.seed)))
        return 0
    from tests.fuzz.targets import TARGETS

    whole = sum(share for _, share in TARGETS.values())

    def table_row(name: str) -> list[float] | None:
        inputs = -(-given.inputs * TARGETS[name][1] // whole)
        own = ["--target", name, "--inputs", str(inputs), "--seed", str(given.seed)]
        done = subprocess.run([sys.executable, "-m", "tests.fuzz", *own], stdout=subprocess.PIPE, text=True)
        return None if done.returncode else json.loads(done.stdout)

    print(COLUMNS.format("target", "inputs", "read", "cleanly refused", "bugs", "inputs/s"), flush=True)
    totals, died = [0, 0, 0, 0], False
    with ThreadPoolExecutor(given.jobs) as pool:
        for name, row in zip(TARGETS, pool.map(table_row, TARGETS), strict=True):
            if row is None:
                died = True
                print(f"{name}: its process ended", flush=True)
                continue
            *counts, seconds = row
            print(COLUMNS.format(name, *counts, round(counts[0] / seconds)), flush=True)
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
    print(COLUMNS.format("all", *totals, ""))
    return int(died or totals[-1] > 0)


def one(name: str, inputs: int, seed: int) -> list[float]:
    """Inputs given, read, refused; those that met a bug; seconds. The first input of each bug goes to stderr."""
    from tests.fuzz import seeds
    from tests.fuzz.mutator import mutated
    from tests.fuzz.targets import TARGETS

    target, valid, rng = TARGETS[name][0], getattr(seeds, name)(), random.Random(seed)
    counts, seen, begun = {True: 0, False: 0}, set(), time.monotonic()
    for _ in range(inputs):
        data = mutated(rng, valid)
        try:
            counts[target(data)] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            if (where.filename, where.lineno) not in seen:
                seen.add((where.filename, where.lineno))
                print(f"{name}: {data!r}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    return [inputs, counts[True], counts[False], inputs - sum(counts.values()), time.monotonic() - begun]


if __name__ == "__main__":
    sys.exit(main())
