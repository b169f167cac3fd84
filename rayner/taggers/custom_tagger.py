"""The user's own small model: two functions of the user, and the adapter that makes them a tagger family.

See docs/extending.md. The adapter checks what the user's functions return. So a mistake in them raises an error and
does not write a corpus of wrong tags.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rayner.errors import ConfigError, NotFiniteError
from rayner.modeling.descriptions import read_description, write_description
from rayner.taggers.tagger import OneProcessTrainer, Seconds
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs

if TYPE_CHECKING:
    import torch

DESCRIPTION_FILE = "rayner.json"
_FORMAT_VERSION = 1
_FLOOR = np.float32(-28)  # the smallest log-probability, about log(1e-12); minus infinity would make the entropy NaN
_TOLERANCE = 1e-3  # largest difference from 1 of the sum of a character's probabilities
PredictLogProbs = Callable[[Sequence[str]], Sequence[npt.NDArray[np.floating]]]


@dataclass(frozen=True)
class CustomTagger:
    """The object that `module:name` in `slm.family` must name. Neither function is given an empty text.

    Attributes:
        train: Takes labelled sentences, the labels (`tags.bmes_labels`: BMES, O first), a folder, and a seed. It trains
            a tagger and writes it to the folder. It must not write the file `rayner.json`.
        load: Takes the folder, which may have been moved since training, and the labels. It returns a function that
            takes texts and returns the label log-probabilities of each text, shape [n_chars, n_labels], natural log.
            The result for a text must not depend on the other texts.

    """

    train: Callable[[Sequence[LabelledSentence], Sequence[str], Path, int], None]
    load: Callable[[Path, Sequence[str]], PredictLogProbs]


@dataclass(frozen=True)
class CustomTaggerDescription:
    """What a tagger was trained on, as written in `rayner.json`.

    Attributes:
        labels: The labels, in the order of `bmes_labels`.
        characters: The characters seen in training, each once, as one text.

    """

    labels: tuple[str, ...]
    characters: str


@dataclass(frozen=True)
class LoadedCustomTagger:
    """The user's own tagger after training; implements `Tagger`. name: its `module:name`, for messages."""

    name: str
    predict_log_probs: PredictLogProbs
    labels: tuple[str, ...]
    n_parameters: None = None

    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return the entities and entropies of each text, in the order of the texts.

        Raises:
            ConfigError: The user's function did not return one distribution over the labels for each character.
            NotFiniteError: It returned NaN or infinite probabilities.

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

    def with_smaller_batches(self, divisor: int) -> "LoadedCustomTagger":
        """Return the tagger itself: the user's function makes its own batches."""
        return self

    def _check_and_floor_log_probs(self, text: str, answer: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Check the log-probabilities of one text and return them as float32, without infinities.

        Raises:
            ConfigError: The shape is wrong, or the probabilities of a character do not add up to 1.
            NotFiniteError: The probabilities of a character are NaN or infinite.

        """
        with np.errstate(over="ignore"):  # infinity is refused below
            rows = np.asarray(answer, dtype=np.float32)
        shape = (len(text), len(self.labels))
        if rows.shape != shape:
            raise ConfigError(
                f"slm.family: expected of {self.name} log-probabilities of shape {shape}, found {rows.shape}"
            )
        sums = np.exp(rows).sum(axis=1)
        if not np.all(np.abs(sums - 1) < _TOLERANCE):  # also where a sum is NaN
            worst = float(sums[int(np.argmax(np.where(np.isnan(sums), np.inf, np.abs(sums - 1))))])
            error_class = ConfigError if np.isfinite(worst) else NotFiniteError
            raise error_class(
                f"slm.family: expected of {self.name} log-probabilities whose exponentials add up to 1, found {worst:g}"
            )
        floored: npt.NDArray[np.float32] = np.maximum(rows, _FLOOR)
        return floored


@dataclass(frozen=True)
class CustomTaggerFamily:
    """The adapter around the user's functions; implements `TaggerFamily` and `OneProcessTrainer`.

    Attributes:
        name: The `module:name` of the functions.
        functions: The user's functions.
        cpus: The number of CPUs for training.
        gpus: The number of GPUs for training.

    """

    name: str
    functions: CustomTagger
    cpus: int = 1
    gpus: float = 0.0
    max_iterations: None = None

    @property
    def display_name(self) -> str:
        """The `module:name` of the functions."""
        return self.name

    @property
    def one_process_trainer(self) -> OneProcessTrainer:
        """The family itself, which trains in one process."""
        return self

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return {}: the run has a fingerprint of the user's code instead."""
        return {}

    def with_clusters_of_trained_tagger(self, folder: Path) -> "CustomTaggerFamily":
        """Return the family itself: what the user's functions learn from unlabelled text is not known."""
        return self

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None] = lambda: None,
    ) -> Seconds:
        """Train on the nonempty sentences, write the tagger to `folder`, and return the seconds that training took."""
        started = time.monotonic()
        nonempty_sentences = [sentence for sentence in sentences if sentence.text]
        self.functions.train(nonempty_sentences, labels, folder, seed)
        characters = {char for sentence in nonempty_sentences for char in sentence.text}
        description = CustomTaggerDescription(tuple(labels), "".join(sorted(characters)))
        write_description(folder / DESCRIPTION_FILE, description, _FORMAT_VERSION)
        return time.monotonic() - started

    def load(
        self,
        folder: Path,
        device: "torch.device | None" = None,
        *,
        batch_size: int = 1,
        sentence_vectors: bool = False,
    ) -> LoadedCustomTagger:
        """Load a trained tagger. Raises ConfigError if the folder holds none."""
        labels = read_custom_description(folder).labels
        return LoadedCustomTagger(self.name, self.functions.load(folder, labels), labels)

    def load_known_characters(self, folder: Path) -> frozenset[str]:
        """Return the characters seen in training. Raises ConfigError if the folder holds no tagger."""
        return frozenset(read_custom_description(folder).characters)


def read_custom_description(folder: Path) -> CustomTaggerDescription:
    """Read what a tagger was trained on.

    Raises ConfigError if the folder holds no tagger, DamagedFileError if its description is damaged.
    """
    return read_description(folder / DESCRIPTION_FILE, CustomTaggerDescription, _FORMAT_VERSION, "a trained tagger")
