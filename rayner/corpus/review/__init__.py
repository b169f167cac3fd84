"""Let a person correct sentences of a tagged corpus, and use the corrections (`rayner review`).

The modules, in the order in which a sentence passes through them:

- `candidates` lists the sentences that may be reviewed.
- `ranking` and `selection` choose the most doubtful ones; `random_sample` draws some at random.
- `task_files` and `provenance` write them for the reviewer.
- `corrections` reads the corrected sentences; `labelled_output` writes them as training data.
- `estimate` says how good the tags are, by a corrected random sample. `estimate_table` prints it, and
  `estimate_file` keeps it.

`consistency` needs no reviewer: it lists names that are tagged in different ways.
"""
