"""A static site for a tagged corpus, with its books and documents, an entity index and the models' disagreements.

Start with `build.build_site`, which `rayner view` calls. It reads the three tables of a tagged corpus once, document by
document. It writes HTML pages, scripts with data, and the files of `assets/`. The texts of the pages are in
`rayner.rendering`. This package may not import `rayner.report`, `rayner.steps`, torch or ray.
"""
