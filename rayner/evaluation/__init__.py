"""Scores against gold annotations: metrics with intervals, confusions, conflicts between the models, and reliability.

Start with `evaluate` (the scores of a fusion, or of one file against another) and `artifact` (the records in
`evaluation.json`). `metrics` defines every number.

The functions are pure and take plain values. They use no torch, no Ray and no file system.
"""
