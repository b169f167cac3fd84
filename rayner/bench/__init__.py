"""Compare the speed of a run's models with other software (`make bench`, `jobs/bench.py`).

Start with `benchmark.run_and_write_benchmark`. `setup` loads models and sentences, `timing` measures seconds, and
`peers` runs the other software. Each of the other modules measures one part. The code that tags a corpus does not
import this package.
"""
