"""How long the steps of earlier runs took on this machine, to say how long a new run will take.

A run that did all its steps in one call records its pace in the user's cache folder. Another run with the same
settings, whatever its texts, takes as long in proportion to its characters.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.config.settings import Config, config_to_dict, json_digest
from rayner.errors import DataError
from rayner.runs.json_files import read_json, write_json
from rayner.runs.progress import log
from rayner.runs.storage import cache_folder
from rayner.steps.forecast.remaining_steps import TAGGING_STEP
from rayner.text.json_records import RecordError, record_from_json, record_to_json

FORMAT_VERSION = 1
_MAX_PACES = 50  # of the last runs
_SECTIONS = ("slm", "index", "llm", "prompt", "score", "fusion", "gate", "device")  # what the pace depends on


@dataclass(frozen=True)
class Pace:
    """How long a run took.

    machine: the machine or cluster.
    settings: a digest of the settings on which the pace depends.
    seconds: the duration of each step.
    n_chars: the characters that each step worked on.
    other_seconds: the duration of everything else, such as the start of Ray.
    """

    machine: str
    settings: str
    seconds: Mapping[str, float]
    n_chars: Mapping[str, int]
    other_seconds: float

    def estimate_seconds(self, n_chars: Mapping[str, int]) -> float | None:
        """Estimate how long some steps will take, from their characters; None if the run did not do one of them."""
        if any(not self.n_chars.get(name) for name in n_chars):
            return None
        return self.other_seconds + sum(self.seconds[name] * n / self.n_chars[name] for name, n in n_chars.items())


def count_chars_by_step(parts: Mapping[str, int], corpus_chars: int, steps: Iterable[str]) -> dict[str, int]:
    """Return the number of characters that each step works on.

    parts: the characters of the labelled parts `train`, `dev` and `test`; those that are not needed may be missing.
    """
    train, dev, test = (parts.get(name, 0) for name in ("train", "dev", "test"))
    chars = {"score": dev + test, "tune_fusion": dev, TAGGING_STEP: corpus_chars}
    return {name: chars.get(name, train) for name in steps}


def make_pace(config: Config, seconds: Mapping[str, float], n_chars: Mapping[str, int], total_seconds: float) -> Pace:
    """Make the record of a run that did all its steps in one call. total_seconds: the duration of the call."""
    other_seconds = max(0.0, total_seconds - sum(seconds.values()))
    return Pace(_name_machine(), _digest_settings(config), dict(seconds), dict(n_chars), round(other_seconds, 1))


def record_pace(pace: Pace) -> None:
    """Add a pace to those of earlier runs. An error is only logged for debugging."""
    try:
        same = (pace.machine, pace.settings)
        paces = [other for other in _read_paces() if (other.machine, other.settings) != same]
        content = [record_to_json(each) for each in [*paces, pace][-_MAX_PACES:]]
        write_json(pace_file(), {"format_version": FORMAT_VERSION, "paces": content})
    except (OSError, RuntimeError) as error:  # such as a home folder that cannot be written, or none
        log.debug("the pace of this run was not recorded: %s", error)


def find_pace(config: Config) -> Pace | None:
    """Return the pace of the last run on this machine with the same settings; None if there was none."""
    same = (_name_machine(), _digest_settings(config))
    return next((pace for pace in _read_paces() if (pace.machine, pace.settings) == same), None)


def pace_file() -> Path:
    """Return the file of the paces, in the user's cache folder."""
    return cache_folder() / "pace.json"


def _read_paces() -> list[Pace]:
    """Read the paces of earlier runs. A file that is missing, damaged or of another version counts as none."""
    try:
        content = read_json(pace_file())
        if content["format_version"] != FORMAT_VERSION:
            return []
        return [record_from_json(Pace, each) for each in content["paces"]]
    except (OSError, RuntimeError, DataError, RecordError, KeyError, TypeError):
        return []


def _name_machine() -> str:
    return " ".join(filter(None, [platform.node(), os.environ.get("RAY_ADDRESS", "")]))


def _digest_settings(config: Config) -> str:
    """Return a digest of the settings on which the pace depends. Of paths of texts only counts whether there is one."""
    everything = config_to_dict(config)
    settings: dict[str, Any] = {name: everything[name] for name in _SECTIONS}
    settings["slm"]["crf"]["unlabelled"] = bool(config.slm.crf.unlabelled)
    return json_digest(settings, config.split.folds, config.tag.max_segment_chars)
