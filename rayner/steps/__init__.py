"""The steps of a job. Each reads what earlier steps left in the run folder and is skipped when it is done.

The main job (`pipeline`) runs them in this order:

1. `data`: read the labelled files, split them into train, dev and test.
2. `training.train_slm`: train the small model.
3. `build_index`: embed the training sentences, so that similar ones can be found.
4. `training.train_llm`: train the large model on prompts with similar sentences.
5. `score`: let both models answer the held-out sentences.
6. `training.cross_fit`: only with `split.folds`: the same for the training sentences, by models that never saw them.
7. `tune_fusion`: find the rule that decides where the models disagree.
8. `tag`: tag the corpus with both models and the rule.

`preflight` and `requirements` check a job before it starts, `loading` loads what a run has trained, and `reproduce`
runs the paper's experiment. Steps may import every room but doctor, bench and cli. Methods belong in those rooms:
a step decides what runs where, on Ray, and what is kept.
"""
