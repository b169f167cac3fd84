"""Check that the inputs of a job exist, before anything heavy is imported.

The job itself reads and checks them later.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from rayner.config.settings import Config, get_setting
from rayner.errors import ConfigError
from rayner.text.messages import shorten_repr


def require_inputs(config: Config, keys: Iterable[str]) -> None:
    """Raise ConfigError, which names the setting and a file of a similar name, if a local input does not exist.

    keys: the settings that name the inputs. URLs are not checked here.
    """
    for key in keys:
        for setting, path in _list_paths(key, get_setting(config, key)):
            if "://" not in path and not os.path.lexists(path):
                name = "corpus" if path == config.corpus.path else setting  # slm.crf.unlabelled may be the corpus
                shown = shorten_repr(path)[1:-1]
                raise ConfigError(
                    f"{name}: {shown}: expected a file or folder, found nothing of that name{_describe_search(path)}"
                )


def require_labelled_files(config: Config, keys: Iterable[str]) -> None:
    """Raise ConfigError if `train` is among the keys of a job's inputs and names no file."""
    if "train" in keys and not config.train:
        raise ConfigError("train: expected labelled files, found none")


def _list_paths(key: str, value: str | list[str] | dict[str, str] | None) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from ((f"{key}.{name}", path) for name, path in value.items())
    elif isinstance(value, str):
        yield key, value
    else:
        yield from ((key, path) for path in value or [])


def _describe_search(path: str) -> str:
    """Return the end of the message: a file of a similar name, or the folder in which a relative path was searched."""
    from rayner.corpus.text_files import format_similar_name_hint

    hint = format_similar_name_hint(Path(path))
    return hint or ("" if Path(path).is_absolute() else f" in {Path.cwd()}")
