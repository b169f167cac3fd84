"""Scores against gold annotations: metrics with intervals, confusions, conflicts between the models, reliability.

Start with `evaluate` (scores of a fusion or of two files) and `artifact` (the records in `evaluation.json`); `metrics`
defines every number.

Pure functions of plain values: no torch, no Ray, no file system.
"""
