"""Settings: the dataclasses (`settings`), YAML files and `key=value` overrides (`loading`), user code (`plugins`)."""
