"""A small model of the user's own: two functions, and what they must keep to (docs/extending.md).

What it answers is looked at, so that a mistake in it ends in a message and not in a corpus of wrong tags.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rayner.config.plugins import load_plugin
from rayner.errors import ConfigError
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs

KEY = "slm.family"
ABOUT = "rayner.json"
_FLOOR = np.float32(-28)  # of log-probabilities, about 1e-12: the entropy of what has none must be a number
_ROUNDING = 1e-3  # of the sum of the probabilities of a character
Rows = npt.NDArray[np.float32]
Tagger = Callable[[Sequence[str]], Sequence[npt.NDArray[np.floating]]]


@dataclass(frozen=True)
class CustomTagger:
    """What `module:name` in `slm.family` must be. No text is empty.

    train: from labelled sentences, the labels (`tags.bmes_labels`: BMES, O first), a folder to write to, and a seed. It
        must not write `rayner.json`.
    load: from that folder, which may have moved, and the labels, what gives log-probabilities [n_chars, n_labels] for
        each of some texts; those of a text must not depend on the others.
    """

    train: Callable[[Sequence[LabelledSentence], Sequence[str], Path, int], None]
    load: Callable[[Path, Sequence[str]], Tagger]


@dataclass(frozen=True)
class About:
    """What a trained tagger was trained on."""

    labels: tuple[str, ...]
    characters: frozenset[str]


@dataclass(frozen=True)
class Loaded:
    """A trained tagger."""

    name: str
    tagger: Tagger
    labels: tuple[str, ...]


def code(name: str) -> CustomTagger:
    """Its functions. Raises ConfigError where the name leads to none."""
    found: CustomTagger = load_plugin(KEY, name, CustomTagger, "a CustomTagger")
    return found


def train(name: str, examples: Sequence[LabelledSentence], labels: Sequence[str], folder: Path, seed: int) -> None:
    """Train on labelled sentences and write `folder`."""
    written = [example for example in examples if example.text]
    code(name).train(written, labels, folder, seed)
    characters = "".join(sorted({char for example in written for char in example.text}))
    about = {"labels": list(labels), "characters": characters}
    (folder / ABOUT).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


def about(folder: Path) -> About:
    """What it was trained on. Raises ConfigError if it was not."""
    try:
        tree = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return About(tuple(tree["labels"]), frozenset(tree["characters"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: expected a trained tagger, found: {' '.join(str(error).split())}") from error


def load(name: str, folder: Path) -> Loaded:
    """A trained tagger. Raises ConfigError if there is none."""
    labels = about(folder).labels
    return Loaded(name, code(name).load(folder, labels), labels)


def score(own: Loaded, texts: Sequence[str]) -> list[SlmPrediction]:
    """Legal labels and entropies for each character of each text, in the order of the texts.

    Raises ConfigError for an answer that is no distribution over the labels for each character.
    """
    written = [text for text in texts if text]
    answers = list(own.tagger(written)) if written else []
    if len(answers) != len(written):
        raise ConfigError(f"{KEY}: expected of {own.name} {len(written)} answers, one a text, found {len(answers)}")
    known = iter([_checked(own, text, answer) for text, answer in zip(written, answers, strict=True)])
    nothing = np.zeros((0, len(own.labels)), dtype=np.float32)
    return decode_log_probs([next(known) if text else nothing for text in texts], own.labels)


def _checked(own: Loaded, text: str, answer: npt.NDArray[np.floating]) -> Rows:
    rows = np.asarray(answer, dtype=np.float32)
    wanted = (len(text), len(own.labels))
    if rows.shape != wanted:
        raise ConfigError(f"{KEY}: expected of {own.name} log-probabilities of shape {wanted}, found {rows.shape}")
    sums = np.exp(rows).sum(axis=1)
    if not np.all(np.abs(sums - 1) < _ROUNDING):  # a NaN is not, either
        worst = float(sums[int(np.argmax(np.where(np.isnan(sums), np.inf, np.abs(sums - 1))))])
        raise ConfigError(
            f"{KEY}: expected of {own.name} log-probabilities whose exponentials add up to 1, found {worst:g}"
        )
    floored: Rows = np.maximum(rows, _FLOOR)
    return floored
