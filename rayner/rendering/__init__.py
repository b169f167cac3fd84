"""Parts that the report and the site share: texts in English and Chinese, tagged text as HTML, templates.

Start with `translation.translate`, which returns a text by its key; the tables of texts are in `texts_*.py`, one for
each page. `tagged_text` cuts a text into entities and the text between them. This room imports `rayner.text` and
jinja2, and nothing that reads or writes a run.
"""
