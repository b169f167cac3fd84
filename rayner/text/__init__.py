"""Text, entities and tags: how entities are written and read, and how text is cut.

Start with `spans` (what an entity is, everywhere in rayner), then `predictions` (what both models predict for a
segment; `SegmentPrediction` travels through the whole job). `tags` and `markup` are the two notations of entities. This
room imports only the standard library, numpy and `rayner.errors`; it reads no files.
"""
