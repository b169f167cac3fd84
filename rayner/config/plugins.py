"""Import the user's own code, which a setting names as `module:name` (docs/extending.md)."""

import difflib
import hashlib
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_plugin_name(name: str) -> bool:
    """Return whether a value has the form `module:name`. The names of rayner's built-in choices do not."""
    return bool(_NAME.fullmatch(name))


def load_plugin(setting_key: str, name: str, expected_type: Any, expected_in_words: str) -> Any:  # noqa: ANN401 - any value of that type
    """Import a module and return the value that `module:name` refers to.

    Importing runs the module. It is searched on Python's path, then in the working folder.

    setting_key: the setting, for messages.
    expected_type: the type that the value must have.
    expected_in_words: the same type in words, for messages.
    Raises ConfigError if the module cannot be imported or has no such name, or if the value has another type.
    """
    module, attribute = _import_plugin_module(setting_key, name), name.partition(":")[2]
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        where = module.__name__
        raise ConfigError(
            f"{setting_key}: expected a name in the module {where}, found none called {shorten_repr(attribute)}{hint}"
        )
    value = getattr(module, attribute)
    if not isinstance(value, expected_type):
        raise ConfigError(f"{setting_key}: expected {expected_in_words}, found {name} of type {type(value).__name__}")
    return value


def name_with_fingerprint(setting_key: str, name: str) -> str:
    """Return a name and, if it names the user's own code, the SHA-256 of the module's file.

    The digest does not cover other modules that the module imports. Raises ConfigError if the module cannot be
    imported.
    """
    if not is_plugin_name(name):
        return name
    file = getattr(_import_plugin_module(setting_key, name), "__file__", None)
    return f"{name} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}" if file else name


def _import_plugin_module(setting_key: str, name: str) -> ModuleType:
    module, working_folder = name.partition(":")[0], str(Path.cwd())
    if working_folder not in sys.path:  # at the end, so that a file there does not hide an installed module
        sys.path.append(working_folder)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"{setting_key}: expected a module that can be imported, found {shorten_repr(module)}: {reason}"
        ) from error
