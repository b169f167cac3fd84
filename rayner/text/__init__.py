"""Representation of text, entities and tags, and splitting of text into segments.

Start with `spans`: its `Span` class stands for an entity everywhere in rayner. Then read `predictions`: its
`SegmentPrediction` holds both models' predictions for a segment and passes through the whole job. `tags` and `markup`
are the two notations of entities. This package imports only the standard library, numpy and `rayner.errors`, and it
reads no files.
"""
