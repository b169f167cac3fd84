"""What a setting names by `module:name`: code from outside rayner that becomes a part of a job (docs/extending.md)."""

import difflib
import hashlib
import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rayner.errors import ConfigError

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_plugin_name(name: str) -> bool:
    """Whether it is spelled `module:name`, as no name of rayner's own is."""
    return bool(_NAME.fullmatch(name))


def load_plugin(key: str, name: str, expected_type: Any, expected: str) -> Any:  # noqa: ANN401 - whatever the module has, of that kind
    """What `module:name` names: the module is imported, which runs it.

    It is looked for where Python looks, then in the working folder. key: the setting, for messages; kind: what it must
    be an instance of; what: that in words. Raises ConfigError for a module that cannot be imported, a name that it does
    not have, and something of another kind.
    """
    module, attribute = _import_module(key, name), name.partition(":")[2]
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        where = module.__name__
        raise ConfigError(f"{key}: expected a name in the module {where}, found none called {attribute!r}{hint}")
    value = getattr(module, attribute)
    if not isinstance(value, expected_type):
        raise ConfigError(f"{key}: expected {expected}, found {name} of type {type(value).__name__}")
    return value


def plugin_fingerprint(key: str, name: str) -> str:
    """The name itself, of rayner's own; of code from outside with the digest of its module's file.

    What that module imports in its turn is not looked at. Raises ConfigError for a module that cannot be imported.
    """
    if not is_plugin_name(name):
        return name
    file = getattr(_import_module(key, name), "__file__", None)
    return f"{name} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}" if file else name


def plugin_fingerprints(names: Mapping[str, str]) -> dict[str, list[str]]:
    """What work depends on of the names under some settings: those from outside; nothing where all are rayner's own."""
    found = [plugin_fingerprint(key, name) for key, name in names.items() if is_plugin_name(name)]
    return {"code": found} if found else {}


def _import_module(key: str, name: str) -> ModuleType:
    module, here = name.partition(":")[0], str(Path.cwd())
    if here not in sys.path:  # at the end: a file there must not take the place of a module of others
        sys.path.append(here)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # what a module does when it is run is its own affair
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{key}: expected a module that can be imported, found {module!r}: {why}") from error
