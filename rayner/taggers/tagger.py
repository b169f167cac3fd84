"""The protocols of the small model (SLM), which every family of taggers implements.

A `TaggerFamily` trains and loads one kind of small model. A `Tagger` is a trained one, ready to tag. The families are
the encoder (`encoder.py`), the CRF (`crf.py`), and the user's own tagger (`custom_tagger.py`); `families.py` finds the
family that `slm.family` names. Other code never asks which family it has; it asks the family what it can do.
"""

from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Protocol

import torch

from rayner.evaluation.metrics import count_entities, micro_score
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction

Seconds = float


class Tagger(Protocol):
    """A trained small model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it was trained on, in the order of `bmes_labels`."""

    @property
    def n_parameters(self) -> int | None:
        """The number of its trained parameters; None where that is not known."""

    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return entities and entropies for each text, in the order of the texts.

        A text may be empty or of any length. Its prediction does not depend on the other texts.
        """


class OneProcessTrainer(Protocol):
    """Training that runs to its end in one process."""

    @property
    def display_name(self) -> str:
        """The name of the family in log lines."""

    @property
    def cpus(self) -> int:
        """The CPUs that the process needs."""

    @property
    def gpus(self) -> float:
        """The GPUs that the process needs."""

    @property
    def max_iterations(self) -> int | None:
        """The largest number of iterations that it reports; None where it reports none."""

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None],
    ) -> Seconds:
        """Train on labelled sentences, write the tagger to `folder`, and return the seconds that training took.

        labels: as `bmes_labels` gives them. report_iteration: is called after each iteration.
        Raises DataError where there is nothing to train on.
        """


class TaggerFamily(Protocol):
    """One kind of small model under the settings of `slm`."""

    @property
    def display_name(self) -> str:
        """Its name in log lines."""

    @property
    def one_process_trainer(self) -> OneProcessTrainer | None:
        """How to train it in one process; None for the encoder, which any number of workers train epoch by epoch."""

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return a digest, by name, of each file that training reads beside the labelled sentences.

        With the settings declared for `train_slm` they are what the trained tagger depends on.
        """

    def load(self, folder: Path, device: torch.device, *, batch_size: int, sentence_vectors: bool = False) -> Tagger:
        """Load the tagger that training wrote to `folder`.

        device, batch_size (texts a forward pass): are ignored by families that have no network. sentence_vectors:
        whether each prediction also carries the sentence's vector, where the family has them.
        Raises ConfigError where the folder holds no such tagger.
        """

    def load_known_characters(self, folder: Path) -> Container[str]:
        """Return the characters that the trained tagger knows: that it has tokens for, or met in training.

        Raises ConfigError where the folder holds no such tagger.
        """


def measure_f1(tagger: Tagger, sentences: Sequence[LabelledSentence], types: Sequence[str]) -> float:
    """Return the strict entity-level micro F1 of a tagger on labelled sentences."""
    predictions = tagger.predict([sentence.text for sentence in sentences])
    counts = count_entities(
        [sentence.spans for sentence in sentences], [prediction.spans for prediction in predictions], types
    )
    return micro_score(counts).f1
