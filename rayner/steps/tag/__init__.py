"""Tag a corpus with a trained run. Start at `tag_corpus.py`. No package below `steps` may import this package.

A sentence passes through the modules in this order:

1. `plan.py` reads each file as a `Document`, splits the text into segments and groups them into a `Unit` of work.
2. An actor (`actors.py`) takes one unit. `units.py` makes a `SegmentPrediction` for each segment.
3. `stages.py` adds the small model's prediction, the gate's decision (`llm_gate.py`) and the LLM's answer.
4. `units.py` fuses both predictions and writes the rows of the tables.
5. `audit.py` verifies the tables at the end.

`attempts.py` sets aside segments that fail: they are recorded with their error and get no entities.
"""
