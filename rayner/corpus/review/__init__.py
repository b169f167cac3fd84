"""Have the most doubtful sentences corrected, and train on them: behind `rayner review`.

The way of a sentence: `candidates` (what may be reviewed), `ranking` and `selection` (what to review first),
`task_files` and `provenance` (out to the reviewer), `label_studio_import` and `corrections` (back as training data).
"""
