"""All settings: what each means and allows, which steps depend on it, and how files and arguments are read.

To add a setting, add a field to a dataclass in `settings`: its declaration is all that help, checks, docs and the
steps need. `loading.load_config` reads YAML files and `key=value` overrides; `step_settings` picks what a step depends
on; `plugins` imports the user's own code; `renamed` refuses old names. This room imports only `errors` and `text`.
"""
