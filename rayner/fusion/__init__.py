"""Fusion of the two models' predictions: fusion rules, gate, LLM budget, rule search and calibration.

Start with `fusion_rule` (the interface of every rule). Then read `character_rule` (the paper's rule), `region_rule`
(the rule by conflict regions), `learned` (the rule by spans), `gate` (which skips the LLM where it could not change the
result) and `control` (with which the fusion is compared). `artifact.TunedFusion` holds what a run stores. A new rule
implements `FusionRule` and gets a line in `artifact` and `rule_search`.

The functions are pure and take plain values. They use no torch, no Ray and no file system.
"""
