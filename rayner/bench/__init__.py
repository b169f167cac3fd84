"""Measure the speed of a run's models against other software (`make bench`, `jobs/bench.py`).

Start with `benchmark.run_and_write_benchmark`. `timing` measures, `setup` loads what is measured, `peers` runs the
other software, and each further module measures one part. Nothing that tags a corpus imports this room.
"""
