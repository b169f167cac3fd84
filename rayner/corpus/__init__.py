"""Files in, files out: labelled files, plain texts, the tables of a tagged corpus, exports, review.

Start with `labelled_files` (training data in), `text_files` (texts to tag) and `tables` (the tagged corpus, which
`exports` and `review` read). `labelled_sentences` divides training data; `prediction_tables` keeps predictions.
This room may import text, config, fusion, evaluation and runs, but no models and no Ray.
"""
