"""The user's own small model: two functions, and the adapter that makes a tagger family of them (docs/extending.md).

The adapter checks what the user's code answers, so that a mistake ends in a message and not in a corpus of wrong tags.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rayner.errors import ConfigError
from rayner.modeling.descriptions import read_description, write_description
from rayner.taggers.tagger import OneProcessTrainer, Seconds
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs

DESCRIPTION_FILE = "rayner.json"
_FORMAT_VERSION = 1
_FLOOR = np.float32(-28)  # of log-probabilities, about 1e-12: minus infinity would make the entropy not a number
_TOLERANCE = 1e-3  # of the sum of the probabilities of a character
PredictLogProbs = Callable[[Sequence[str]], Sequence[npt.NDArray[np.floating]]]


@dataclass(frozen=True)
class CustomTagger:
    """What `module:name` in `slm.family` must be. No text is empty.

    train: trains on labelled sentences; takes also the labels (`tags.bmes_labels`: BMES, O first), a folder to write
        to, and a seed. It must not write `rayner.json`.
    load: takes that folder, which may have moved, and the labels; returns a function that gives log-probabilities
        [n_chars, n_labels] (natural log) for each of some texts. Those of a text must not depend on the others.
    """

    train: Callable[[Sequence[LabelledSentence], Sequence[str], Path, int], None]
    load: Callable[[Path, Sequence[str]], PredictLogProbs]


@dataclass(frozen=True)
class CustomTaggerDescription:
    """What a trained tagger was trained on, as in `rayner.json`."""

    labels: tuple[str, ...]
    characters: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        return {
            "labels": list(self.labels),
            "characters": "".join(sorted(self.characters)),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "CustomTaggerDescription":
        """Make a description from what `to_json` returned."""
        return cls(tuple(fields["labels"]), frozenset(fields["characters"]))


@dataclass(frozen=True)
class LoadedCustomTagger:
    """A trained tagger of the user's own; implements `Tagger`. name: its `module:name`, for messages."""

    name: str
    predict_log_probs: PredictLogProbs
    labels: tuple[str, ...]
    n_parameters: None = None

    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return entities and entropies for each text, in the order of the texts.

        Raises ConfigError where the user's code does not answer with a distribution over the labels for each character.
        """
        nonempty_texts = [text for text in texts if text]
        answers = list(self.predict_log_probs(nonempty_texts)) if nonempty_texts else []
        if len(answers) != len(nonempty_texts):
            raise ConfigError(
                f"slm.family: expected of {self.name} {len(nonempty_texts)} answers, one a text, found {len(answers)}"
            )
        log_probs = iter(
            [
                self._check_and_floor_log_probs(text, answer)
                for text, answer in zip(nonempty_texts, answers, strict=True)
            ]
        )
        no_rows = np.zeros((0, len(self.labels)), dtype=np.float32)
        return decode_log_probs([next(log_probs) if text else no_rows for text in texts], self.labels)

    def _check_and_floor_log_probs(self, text: str, answer: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return an answer as float32 without infinities. Raises ConfigError where it is no distribution."""
        rows = np.asarray(answer, dtype=np.float32)
        shape = (len(text), len(self.labels))
        if rows.shape != shape:
            raise ConfigError(
                f"slm.family: expected of {self.name} log-probabilities of shape {shape}, found {rows.shape}"
            )
        sums = np.exp(rows).sum(axis=1)
        if not np.all(np.abs(sums - 1) < _TOLERANCE):  # also where a sum is NaN
            worst = float(sums[int(np.argmax(np.where(np.isnan(sums), np.inf, np.abs(sums - 1))))])
            raise ConfigError(
                f"slm.family: expected of {self.name} log-probabilities whose exponentials add up to 1, found {worst:g}"
            )
        floored: npt.NDArray[np.float32] = np.maximum(rows, _FLOOR)
        return floored


@dataclass(frozen=True)
class CustomTaggerFamily:
    """The adapter around the user's functions; implements `TaggerFamily` and `OneProcessTrainer`.

    name: the `module:name` of the functions. cpus, gpus: for training.
    """

    name: str
    functions: CustomTagger
    cpus: int = 1
    gpus: float = 0.0
    max_iterations: None = None

    @property
    def display_name(self) -> str:
        """Its `module:name`."""
        return self.name

    @property
    def one_process_trainer(self) -> OneProcessTrainer:
        """The family itself trains."""
        return self

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return nothing: the run knows the user's code by its fingerprint."""
        return {}

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None] = lambda: None,
    ) -> Seconds:
        """Train on the sentences that are not empty and write `folder`; return the seconds that it took."""
        started = time.monotonic()
        nonempty_sentences = [sentence for sentence in sentences if sentence.text]
        self.functions.train(nonempty_sentences, labels, folder, seed)
        characters = frozenset(char for sentence in nonempty_sentences for char in sentence.text)
        description = CustomTaggerDescription(tuple(labels), characters)
        write_description(folder / DESCRIPTION_FILE, description.to_json(), _FORMAT_VERSION)
        return time.monotonic() - started

    def load(
        self,
        folder: Path,
        device: torch.device | None = None,
        *,
        batch_size: int = 1,
        sentence_vectors: bool = False,
    ) -> LoadedCustomTagger:
        """Load a trained tagger. Raises ConfigError where the folder holds none."""
        labels = read_custom_description(folder).labels
        return LoadedCustomTagger(self.name, self.functions.load(folder, labels), labels)

    def load_known_characters(self, folder: Path) -> frozenset[str]:
        """Return the characters met in training. Raises ConfigError where the folder holds no tagger."""
        return read_custom_description(folder).characters


def read_custom_description(folder: Path) -> CustomTaggerDescription:
    """Read what a tagger was trained on. Raises ConfigError where the folder holds none."""
    return read_description(
        folder / DESCRIPTION_FILE, CustomTaggerDescription.from_json, _FORMAT_VERSION, "a trained tagger"
    )
