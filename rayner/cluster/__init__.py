"""Where work happens: the only package that imports Ray. It decides nothing about entities.

Whole jobs: `pipeline` (all steps), `reproduce` (many pipelines).
Steps, in order: `data`, `train_slm` (or `train_crf`, `train_custom`), `build_index`, `train_llm` (`silver` before
it, `fine_tuning` in its workers; `fitting` is what trainings share), `score`, `cross_fit`, `tune`, `tag`. `trained`
loads what they made.
The way of a text: `reading`, `plan`, `units` (from the plan, and into the tables), `actors`, `stages` (what an actor
does), `attempts` (what no segment may break), `audit`.
Around them: `session`, `preflight`, `failures`, `memory`.
Before a long run: `doctor`, with `probes`, `diagnosis` and `needs`.
"""
