"""The settings of rayner: their declarations, and the code that reads and checks them.

To add a setting, add a field to a dataclass in `settings` or `model_settings`. Help, checks, docs and steps all use
that one declaration.

- `loading.load_config` reads YAML files and `key=value` overrides.
- `step_settings` selects the settings that a step depends on.
- `plugins` imports the user's own code.
- `renamed` lists the old names, which are refused.

This package imports only `errors` and `text`.
"""
