"""The learned rule: candidates and their features, the logistic model, the lexicon, and the bound for its gate.

Start with `span_rule`.
"""
