"""Tag a corpus with a trained run. Start at `tag_corpus.py`; nothing below `steps` may import this room.

The way of a sentence: `plan.py` reads each file as a `Document`, cuts it into segments and groups these into a `Unit`
of work. An actor (`actors.py`) takes one unit: `units.py` makes a `SegmentPrediction` of each segment, `stages.py`
fills in the small model's prediction, the gate's decision (`llm_gate.py`) and the LLM's answer, and `units.py` fuses
them and writes the rows of the tables. `attempts.py` sets aside segments that fail; `audit.py` verifies the tables.
"""
