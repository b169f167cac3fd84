"""Read the formats of labelled text, each into texts with their entities.

The modules, in the order in which a file passes through them:

- `recognition` finds out the layout of a file by its content. `foreign_formats` names files that are not read.
- A module for each layout reads the file: `tagged_lines`, `json_records`, `label_studio_tasks`, `inline_markup`, `tei`,
  and those of `sheets`. `entity_cells` reads a list of entities in a cell or in a JSON value.
- `entity_places` finds the place of each entity in its text, and checks it.

`rayner.corpus.labelled_files` calls them. The layouts have the names of the export formats that are read back.
"""
