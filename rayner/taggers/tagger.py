"""The protocols of the small model (SLM), which every family of taggers implements.

A `TaggerFamily` trains and loads one kind of small model. A `Tagger` is a trained model, ready to tag. There are three
families: the encoder (`encoder.py`), the CRF (`crf.py`) and the user's own tagger (`custom_tagger.py`). `families.py`
returns the family that `slm.family` names. Other code does not test which family it has; it uses the two protocols.
"""

from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rayner.evaluation.metrics import micro_f1
from rayner.text.finite_predictions import require_finite_predictions
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction

if TYPE_CHECKING:
    import torch

Seconds = float


class Tagger(Protocol):
    """A trained small model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the tagger was trained on, in the order of `bmes_labels`."""

    @property
    def n_parameters(self) -> int | None:
        """The number of trained parameters; None if unknown."""

    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return the entities and entropies of each text, in the order of the texts.

        A text may be empty or of any length. The prediction for a text does not depend on the other texts.
        """

    def with_smaller_batches(self, divisor: int) -> "Tagger":
        """Return the same tagger with its batch size divided by `divisor`, and at least 1.

        A tagger without batches returns itself.
        """


class OneProcessTrainer(Protocol):
    """A trainer that trains a small model in one process."""

    @property
    def display_name(self) -> str:
        """The name of the family in log lines."""

    @property
    def cpus(self) -> int:
        """The number of CPUs that training needs."""

    @property
    def gpus(self) -> float:
        """The number of GPUs that training needs."""

    @property
    def max_iterations(self) -> int | None:
        """The largest number of iterations that training reports; None if it reports no iterations."""

    def with_clusters_of_trained_tagger(self, folder: Path) -> "OneProcessTrainer":
        """Return the trainer with what a tagger of the same settings learned from unlabelled text.

        folder: the folder of that tagger. A trainer that learns nothing from unlabelled text returns itself.
        """

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None],
    ) -> Seconds:
        """Train on labelled sentences, write the tagger to `folder`, and return the seconds that training took.

        Args:
            sentences: The labelled sentences.
            labels: The labels, as `bmes_labels` returns them.
            folder: The folder to write to.
            seed: The random seed.
            report_iteration: Is called after each iteration.

        Raises:
            DataError: There is nothing to train on.

        """


class TaggerFamily(Protocol):
    """One kind of small model, with the settings `slm`."""

    @property
    def display_name(self) -> str:
        """The name of the family in log lines."""

    @property
    def one_process_trainer(self) -> OneProcessTrainer | None:
        """The trainer that trains this family in one process.

        None for the encoder, which Ray Train trains epoch by epoch, with any number of workers.
        """

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return {name: digest} of the files, other than the labelled sentences, that training reads.

        The trained tagger depends on these files and on the settings that are declared for `train_slm`.
        """

    def load(
        self, folder: Path, device: "torch.device | None", *, batch_size: int, sentence_vectors: bool = False
    ) -> Tagger:
        """Load the tagger that training wrote to `folder`.

        Args:
            folder: The folder of the trained tagger.
            device: The device of the network; None means the CPU. Families without a network ignore it.
            batch_size: Texts in a forward pass; families without a network ignore it.
            sentence_vectors: Whether each prediction also carries a vector of the sentence. Families without sentence
                vectors ignore it.

        Raises:
            ConfigError: The folder holds no tagger of this family.

        """

    def load_known_characters(self, folder: Path) -> Container[str]:
        """Return the characters that the trained tagger knows.

        For the encoder these are the characters that it has tokens for, for the other families those seen in training.

        Raises:
            ConfigError: The folder holds no tagger of this family.

        """


def measure_f1(tagger: Tagger, sentences: Sequence[LabelledSentence], types: Sequence[str]) -> float:
    """Compute a tagger's strict entity-level micro F1 on labelled sentences.

    Raises:
        NotFiniteError: A prediction holds NaN or infinity.

    """
    texts = [sentence.text for sentence in sentences]
    predictions = tagger.predict(texts)
    require_finite_predictions(texts, predictions, "held-out sentence")
    gold = [sentence.spans for sentence in sentences]
    return micro_f1(gold, [prediction.spans for prediction in predictions], types)
