"""The steps of a job. A step reads the results of earlier steps from the run folder. A step that is done is skipped.

The main job (`pipeline`) runs the steps in this order:

1. `data`: read the labelled files, and split their sentences into train, dev and test.
2. `training.train_slm`: train the small model.
3. `training.cross_fit_slm`: predict the training sentences with small models that were not trained on them. This step
   runs only if the LLM learns from hints (`llm.hint`).
4. `build_index`: embed the training sentences, so that prompts can find similar ones.
5. `training.train_llm`: train the LLM on prompts that show similar sentences.
6. `score`: predict the held-out sentences (dev and test) with both models.
7. `training.cross_fit`: predict the training sentences too, with models that were not trained on them. This step runs
   only with `split.folds`.
8. `tune_fusion`: find the rule that decides where the models disagree.
9. `tag`: tag the corpus with both models and the rule.

`preflight` and `requirements` check a job before it starts. `loading` loads the models of a run. `reproduce` runs the
paper's experiment. This package may import every other package except doctor, bench and cli. A step decides what runs
where on Ray, and what is kept. The methods themselves belong in the other packages.
"""
