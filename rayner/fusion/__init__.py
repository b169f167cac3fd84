"""Fusion of the two models' predictions: fusion rules, gate, LLM budget, search for lambda, calibration.

Pure functions of plain values: no torch, no Ray, no file system.
"""
