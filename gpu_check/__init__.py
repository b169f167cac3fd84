"""Check rayner's GPU code on one NVIDIA GPU, or the same code on a CPU at small size: `make gpu-check`.

It needs no Ray, no network and no downloaded weights. It makes models with random weights on the device, runs
rayner's own training steps, scoring and search on them, and writes one JSON file that also says what did not run.

Start with `checks.py`, the list of checks. `runner.py` runs each check in a process of its own, within a time budget.
`records.py` has the records that become the JSON file.
"""
