"""Code that the report and the site share: texts in English and Chinese, the display of tagged text, templates.

Start with `translation.translate`, which returns a text by its key. The tables of texts are in `texts_*.py`.
`tagged_text` splits a text into entities and the text between them. This package imports `rayner.text` and jinja2. It
imports no module that reads or writes a run.
"""
