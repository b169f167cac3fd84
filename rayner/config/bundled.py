"""The configurations and the sample that come with rayner, in a clone and in a wheel.

`rayner/bundled` links to `jobs/conf` and to the sample, so the repository holds each file once. A wheel holds the
files themselves.
"""

import difflib
import os
from pathlib import Path
from typing import Any

from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr

BUNDLED_NAMES = ("demo", "laptop", "pretrained", "paper-small", "paper", "paper-24gb", "bench")
_FOLDER = Path(__file__).parents[1] / "bundled"
_SAMPLE = "sample/"  # begins the paths of the sample in a bundled configuration


def find_config(name: str) -> str | Path:
    """Return the path of a configuration.

    name: the name of a bundled configuration, or the path of a file. A file in the working folder that has the name
        of a bundled configuration is `./NAME`.
    Raises ConfigError, which lists the bundled configurations, if the text is neither a path nor one of them.
    """
    if name in BUNDLED_NAMES:
        return _FOLDER / "conf" / f"{name}.yaml"
    if "/" in name or Path(name).suffix or os.path.exists(name):
        return name
    near = difflib.get_close_matches(name, BUNDLED_NAMES, 1)
    raise ConfigError(
        f"CONFIG: expected a YAML file or one of {', '.join(BUNDLED_NAMES)}, found {shorten_repr(name)}"
        + (f"; did you mean {near[0]}?" if near else "; settings are written key=value, without spaces")
    )


def use_bundled_sample(settings: dict[str, Any]) -> None:
    """Replace the paths of the sample in the settings of a bundled configuration by those of the bundled sample.

    So `rayner run demo` works in any folder.
    """
    for key in ("train", "corpus"):
        paths = settings.get(key)
        if isinstance(paths, list):
            settings[key] = [_in_bundled_sample(path) for path in paths]
        elif isinstance(paths, str):
            settings[key] = _in_bundled_sample(paths)


def _in_bundled_sample(path: str) -> str:
    return str(_FOLDER / path) if path.startswith(_SAMPLE) else path
