"""Read and write labelled files, plain texts and the tables of a tagged corpus; export and review the corpus.

Start with these modules:

- `labelled_files` reads training data.
- `text_files` reads the texts to tag.
- `tables` reads and writes the tagged corpus, which `exports` and `review` read.

`labelled_sentences` divides training data into parts. `prediction_tables` stores predictions.
This package may import text, config, fusion, evaluation and runs. It may not import models or Ray.
"""
