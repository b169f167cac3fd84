"""Tagging of a corpus: the plan of units, the actors that predict each unit, and the audit of the tables."""
