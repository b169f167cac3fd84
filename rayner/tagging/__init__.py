"""Tag texts in this process, with the models and the fusion rule of a trained run. Ray is not needed.

Start with `loading.load`, which is `rayner.load`. It returns a `FusionTagger` (`tagger.py`), which runs the stages of
`rayner.steps.tag` on texts and returns each text as a `Document` with its entities (`documents.py`). `html.py` shows a
document in a notebook, `terminal.py` on a terminal. This package may import every package below it, but no module that
imports Ray.
"""
