"""Corrections of a tagged corpus by a person, which outlive the tags: `rayner review apply`.

The modules, in the order in which a correction passes through them:

- `correction` is the record, and the file `corrections.jsonl`.
- `correction_files` reads corrections in the formats in which people write them.
- `precedence` says which corrections a document has, and which of them comes first.
- `applying` corrects the entities of a text. It is used when a corpus is corrected, tagged and verified.
- `changes` lists what corrections change.
"""
