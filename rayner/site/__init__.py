"""A static site made from a tagged corpus: the corpus, its documents, an index of entities, the disagreements."""
