"""The report of a run: an HTML page with scores, plots and the methods paragraph, and CSV tables of the scores.

Start with `run_report.evaluate_and_write_report`, the last call of the main job. `page` builds the page from the
records of the evaluation, the fusion and the run. `rayner reproduce` uses `paper_comparison`. The texts of the page are
in `rayner.rendering`. This package may not import `rayner.steps`, torch or ray.
"""
