"""The static site of a tagged corpus: its books and documents, an index of entities, the models' disagreements.

Start with `build.build_site`, which `rayner view` calls. It reads the three tables of a tagged corpus once, document by
document, and writes HTML pages, scripts with data, and the files of `assets/`. The texts that people read are in
`rayner.rendering`. This room may not import `rayner.report` or `rayner.steps`, and imports neither torch nor ray.
"""
