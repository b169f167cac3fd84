"""The CRF tagger: a conditional random field over characters, by CRFsuite (Okazaki 2007).

It needs no GPU and no pretrained weights, and trains on one core in seconds to minutes. Like every small model, it
gives a distribution over the labels for each character: the marginal probabilities of the CRF.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pycrfsuite

from rayner.config.model_settings import CrfConfig
from rayner.errors import ConfigError, DataError
from rayner.modeling.descriptions import read_description, write_description
from rayner.runs.heartbeat import beat
from rayner.runs.run_folder import file_sha256
from rayner.taggers.character_clusters import CharacterClusters
from rayner.taggers.crfsuite_file import require_finite_crf
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.tags import spans_to_tags

if TYPE_CHECKING:
    pass  # a trained CRF tags without it

MODEL_FILE, DESCRIPTION_FILE = "model.crfsuite", "crf.json"
_FORMAT_VERSION = 1
_FLOOR = 1e-12  # a label that is absent from training has probability 0; the floor keeps its logarithm finite
_BEFORE_TEXT, _AFTER_TEXT = "\x02", "\x03"


@dataclass(frozen=True)
class CrfDescription:
    """What a CRF was trained on, as written in `crf.json`.

    Attributes:
        labels: The labels, in the order of `bmes_labels`.
        characters: The characters seen in training, each once, as one text.
        clusters: The clusters of characters; empty if none were used.
        sha256: The SHA-256 of the file `model.crfsuite`.

    """

    labels: tuple[str, ...]
    characters: str
    clusters: CharacterClusters
    sha256: str


@dataclass(frozen=True)
class CrfTagger:
    """A trained CRF; implements `Tagger`.

    Attributes:
        field: The CRF, a `pycrfsuite.Tagger`.
        labels: The labels, in the order of `bmes_labels`.
        characters: The characters seen in training.
        clusters: The clusters of characters; empty if none were used.

    """

    field: Any
    labels: tuple[str, ...]
    characters: frozenset[str]
    clusters: CharacterClusters

    @property
    def n_parameters(self) -> int:
        """The number of state features and transitions."""
        info = self.field.info()
        return len(info.state_features) + len(info.transitions)

    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return the entities and entropies of each text, in the order of the texts. A text may have any length."""
        return decode_log_probs(list(self.iter_log_probs(texts)), self.labels)

    def with_smaller_batches(self, divisor: int) -> "CrfTagger":
        """Return the tagger itself: it tags one text at a time."""
        return self

    def iter_log_probs(self, texts: Sequence[str]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the label log-probabilities of each text, shape [n_chars, n_labels], natural log."""
        field_labels = self.field.labels()
        columns = [self.labels.index(label) for label in field_labels]
        marginal = self.field.marginal
        for text in texts:
            beat()
            probs = np.full((len(text), len(self.labels)), _FLOOR, dtype=np.float32)
            if text:
                self.field.set(extract_features(text, self.clusters))
                marginals = [[marginal(label, i) for label in field_labels] for i in range(len(text))]
                probs[:, columns] = np.clip(np.array(marginals, dtype=np.float64), _FLOOR, 1.0)
            yield np.log(probs)


def extract_features(text: str, clusters: CharacterClusters) -> list[list[str]]:
    """Return the names of the features that the CRF sees at each character.

    The window of a character is that character with two characters on each side. The features are:

    - the five characters of the window, its four bigrams, and the trigram in its middle;
    - for each clustering, the clusters of the five characters and of the two inner bigrams;
    - for the first clustering, which is the coarsest, also the clusters of the middle trigram.
    """
    padded = _BEFORE_TEXT * 2 + text + _AFTER_TEXT * 2
    features = [
        ["0" + a, "1" + b, "2" + c, "3" + d, "4" + e, "5" + a + b, "6" + b + c, "7" + c + d, "8" + d + e,
         "9" + b + c + d]
        for a, b, c, d, e in zip(*(padded[i:] for i in range(5)), strict=False)
    ]  # fmt: skip
    for k in range(len(next(iter(clusters.values()), ()))):
        names = [str(clusters[char][k]) if char in clusters else "-" for char in padded]
        with_trigram = k == 0
        windows = zip(*(names[i:] for i in range(5)), strict=False)
        for char_features, (a, b, c, d, e) in zip(features, windows, strict=True):
            char_features += [
                f"{k}a{a}", f"{k}b{b}", f"{k}c{c}", f"{k}d{d}", f"{k}e{e}", f"{k}f{b},{c}", f"{k}g{c},{d}"
            ]  # fmt: skip
            if with_trigram:
                char_features.append(f"{k}h{b},{c},{d}")
    return features


class _Trainer(pycrfsuite.Trainer):  # type: ignore[misc] # untyped
    """CRFsuite's trainer, changed to report each iteration instead of printing it."""

    report_iteration: Callable[[], None]

    def message(self, message: str) -> None:
        """Receive one line of CRFsuite's log."""
        if message.startswith("***** Iteration #"):
            self.report_iteration()


def train_crf(
    sentences: Sequence[LabelledSentence],
    labels: Sequence[str],
    config: CrfConfig,
    folder: Path,
    clusters: CharacterClusters | None = None,
    report_iteration: Callable[[], None] = lambda: None,
) -> None:
    """Train a CRF on labelled sentences and write it to `folder`.

    Args:
        sentences: The labelled sentences.
        labels: The labels, as `bmes_labels` returns them.
        config: The settings `slm.crf`.
        folder: The folder to write to.
        clusters: Clusters of characters, from coarse to fine (`cluster_characters`). If given, the CRF also uses them
            as features.
        report_iteration: Is called after each iteration.

    Raises:
        DataError: All sentences are empty, or there are none.

    """
    trainer = _Trainer(verbose=False)
    trainer.report_iteration = report_iteration
    trainer.set_params({"c1": config.c1, "c2": config.c2, "max_iterations": config.max_iterations})
    nonempty_sentences = [sentence for sentence in sentences if sentence.text]
    if not nonempty_sentences:
        raise DataError("expected labelled sentences to train on, found none")
    for sentence in nonempty_sentences:
        features = extract_features(sentence.text, clusters or {})
        trainer.append(features, spans_to_tags(sentence.spans, len(sentence.text)))
    folder.mkdir(parents=True, exist_ok=True)
    trainer.train(str(folder / MODEL_FILE))
    characters = {char for sentence in nonempty_sentences for char in sentence.text}
    description = CrfDescription(
        tuple(labels), "".join(sorted(characters)), clusters or {}, file_sha256(folder / MODEL_FILE)
    )
    write_description(folder / DESCRIPTION_FILE, description, _FORMAT_VERSION)


def load_crf(folder: Path) -> CrfTagger:
    """Load a trained CRF.

    CRFsuite does not check the files that it opens. So the SHA-256 of the model file is compared first.

    Raises:
        ConfigError: The folder holds no CRF, or its model file is not the one that training wrote.
        DamagedFileError: Its description is damaged.
        NotFiniteError: A weight is NaN or infinite.

    """
    description = read_description(folder / DESCRIPTION_FILE, CrfDescription, _FORMAT_VERSION, "a trained CRF")
    try:
        sha256 = file_sha256(folder / MODEL_FILE)
    except OSError as error:
        raise ConfigError(f"{folder}: expected a trained CRF, found: {error}") from error
    if sha256 != description.sha256:
        raise ConfigError(
            f"{folder / MODEL_FILE}: expected the file that training wrote ({description.sha256}), "
            f"found another ({sha256})"
        )
    require_finite_crf(folder / MODEL_FILE)
    field = pycrfsuite.Tagger()
    field.open(str(folder / MODEL_FILE))
    return CrfTagger(field, description.labels, frozenset(description.characters), description.clusters)
