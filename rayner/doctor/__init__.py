"""Checks of a cluster before a long run: what each node reports, and the diagnosis."""
