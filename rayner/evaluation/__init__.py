"""Scores against gold annotations: metrics with intervals, confusions, conflicts between the models, reliability.

Pure functions of plain values: no torch, no Ray, no file system.
"""
