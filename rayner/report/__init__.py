"""The report of a run: scores, plots and the methods paragraph as one HTML page, and the scores as CSV tables.

Start with `run_report.evaluate_and_write_report`, which the main job calls last. `page` arranges the page from the
records of the evaluation, the fusion and the run; `paper_comparison` is for `rayner reproduce`. The texts that people
read are in `rayner.rendering`. This room may not import `rayner.steps`, and imports neither torch nor ray.
"""
