"""Text, spans and tags: how entities are written, read, cut and aligned.

Pure functions of plain values: standard library and numpy only. Start with `spans` (the one span convention) and
`predictions` (what each model predicts for a segment).
"""
