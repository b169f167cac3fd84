"""Fusion of the two models' predictions: fusion rules, gate, LLM budget, search for the rule, calibration.

Start with `fusion_rule` (what every rule can do), then `region_rule` (the rule by conflict regions) and `gate` (when
the LLM need not be asked). `artifact.TunedFusion` is what a run keeps of all this. A new rule implements `FusionRule`
and gets a line in `artifact` and `rule_search`.

Pure functions of plain values: no torch, no Ray, no file system.
"""
