"""Let a reviewer correct the most doubtful sentences, and use them as training data (`rayner review`).

The modules, in the order in which a sentence passes through them:

- `candidates` lists the sentences that may be reviewed.
- `ranking` and `selection` choose the sentences to review first.
- `task_files` and `provenance` write them for the reviewer.
- `corrections` reads the corrected sentences and writes them as training data.
"""
