"""The user's own code that a setting names by `module:name` (docs/extending.md)."""

import difflib
import hashlib
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rayner.errors import ConfigError

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_plugin_name(name: str) -> bool:
    """Return whether a value is spelled `module:name`. No name of rayner's own is."""
    return bool(_NAME.fullmatch(name))


def load_plugin(setting_key: str, name: str, expected_type: Any, expected_in_words: str) -> Any:  # noqa: ANN401 - any value of that type
    """Import the module of `module:name`, which runs it, and return what the name stands for.

    The module is searched on Python's path, then in the working folder.
    setting_key: the setting, for messages. expected_type: what the value must be an instance of. expected: that in
    words. Raises ConfigError if the module cannot be imported, has no such name, or the value is of another type.
    """
    module, attribute = _import_plugin_module(setting_key, name), name.partition(":")[2]
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        where = module.__name__
        raise ConfigError(
            f"{setting_key}: expected a name in the module {where}, found none called {attribute!r}{hint}"
        )
    value = getattr(module, attribute)
    if not isinstance(value, expected_type):
        raise ConfigError(f"{setting_key}: expected {expected_in_words}, found {name} of type {type(value).__name__}")
    return value


def name_with_fingerprint(setting_key: str, name: str) -> str:
    """Return the name and, for code of the user's own, the digest of its module's file.

    Other modules that the module imports are not in the digest. Raises ConfigError if it cannot be imported.
    """
    if not is_plugin_name(name):
        return name
    file = getattr(_import_plugin_module(setting_key, name), "__file__", None)
    return f"{name} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}" if file else name


def _import_plugin_module(setting_key: str, name: str) -> ModuleType:
    module, working_folder = name.partition(":")[0], str(Path.cwd())
    if working_folder not in sys.path:  # at the end: a file there must not hide an installed module
        sys.path.append(working_folder)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"{setting_key}: expected a module that can be imported, found {module!r}: {reason}"
        ) from error
