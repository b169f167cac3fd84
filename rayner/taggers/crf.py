"""The CRF tagger: a conditional random field over characters, by CRFsuite (Okazaki 2007).

It needs no GPU and no pretrained weights and trains in seconds to minutes on one core. It gives what every small model
gives: a distribution over the labels for each character (the marginals of the field).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pycrfsuite
import torch

from rayner.config.model_settings import CrfConfig, SlmConfig
from rayner.corpus.reading import CorpusSurvey, digest_unlabelled_texts, read_unlabelled_texts
from rayner.errors import ConfigError, DataError
from rayner.modeling.descriptions import read_description, write_description
from rayner.runs.progress import log
from rayner.runs.run_folder import file_sha256
from rayner.runs.status import format_duration
from rayner.taggers.character_clusters import CharacterClusters, cluster_characters
from rayner.taggers.tagger import OneProcessTrainer, Seconds
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.tags import spans_to_tags

MODEL_FILE, DESCRIPTION_FILE = "model.crfsuite", "crf.json"
_FORMAT_VERSION = 1
_FLOOR = 1e-12  # a label that training never showed has no probability at all; its logarithm must be finite
_BEFORE_TEXT, _AFTER_TEXT = "\x02", "\x03"


@dataclass(frozen=True)
class CrfDescription:
    """What a trained field was trained on, as in `crf.json`.

    labels: in the order of `bmes_labels`. characters: those met in training. sha256: of the field's file.
    """

    labels: tuple[str, ...]
    characters: frozenset[str]
    clusters: CharacterClusters
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        return {
            "labels": list(self.labels),
            "characters": "".join(sorted(self.characters)),
            "clusters": self.clusters,
            "sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "CrfDescription":
        """Make a description from what `to_json` returned."""
        return cls(tuple(fields["labels"]), frozenset(fields["characters"]), fields["clusters"], fields["sha256"])


@dataclass(frozen=True)
class CrfTagger:
    """A trained field; implements `Tagger`. field: a `pycrfsuite.Tagger`. characters: those met in training."""

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
        """Return entities and entropies for each text, in the order of the texts. No text is too long."""
        return decode_log_probs(list(self.iter_log_probs(texts)), self.labels)

    def iter_log_probs(self, texts: Sequence[str]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the log-probabilities [n_chars, n_labels] (natural log) of each text."""
        field_labels = self.field.labels()
        columns = [self.labels.index(label) for label in field_labels]
        marginal = self.field.marginal
        for text in texts:
            probs = np.full((len(text), len(self.labels)), _FLOOR, dtype=np.float32)
            if text:
                self.field.set(extract_features(text, self.clusters))
                marginals = [[marginal(label, i) for label in field_labels] for i in range(len(text))]
                probs[:, columns] = np.clip(np.array(marginals, dtype=np.float64), _FLOOR, 1.0)
            yield np.log(probs)


def extract_features(text: str, clusters: CharacterClusters) -> list[list[str]]:
    """Return the names of the features that the field sees at each character.

    These are the characters in a window of five, its bigrams, and the trigram in its middle; and the same of the
    characters' clusters, without the outer bigrams and, for fine clusters, without the trigram.
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
    """CRFsuite's trainer, which reports each iteration instead of printing it."""

    report_iteration: Callable[[], None]

    def message(self, message: str) -> None:
        """Receive a line of CRFsuite's log."""
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
    """Train a field on labelled sentences and write it to `folder`.

    clusters: of characters, from coarse to fine (`cluster_characters`); the field then sees them too.
    report_iteration: is called after each iteration.

    Raises DataError where no sentence has a character.
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
    characters = frozenset(char for sentence in nonempty_sentences for char in sentence.text)
    description = CrfDescription(tuple(labels), characters, clusters or {}, file_sha256(folder / MODEL_FILE))
    write_description(folder / DESCRIPTION_FILE, description.to_json(), _FORMAT_VERSION)


def load_crf(folder: Path) -> CrfTagger:
    """Load a trained field.

    The digest of the field's file is checked before CRFsuite opens it, because CRFsuite trusts its files.
    Raises ConfigError where the folder holds no field, or one that differs from what training wrote.
    """
    description = read_description(
        folder / DESCRIPTION_FILE, CrfDescription.from_json, _FORMAT_VERSION, "a trained CRF"
    )
    try:
        sha256 = file_sha256(folder / MODEL_FILE)
    except OSError as error:
        raise ConfigError(f"{folder}: expected a trained CRF, found: {error}") from error
    if sha256 != description.sha256:
        raise ConfigError(
            f"{folder / MODEL_FILE}: expected the file that training wrote ({description.sha256}), "
            f"found another ({sha256})"
        )
    field = pycrfsuite.Tagger()
    field.open(str(folder / MODEL_FILE))
    return CrfTagger(field, description.labels, description.characters, description.clusters)


@dataclass(frozen=True)
class CrfFamily:
    """Conditional random fields under the settings `slm.crf`; implements `TaggerFamily` and `OneProcessTrainer`."""

    config: SlmConfig
    display_name: str = "CRF"
    cpus: int = 1
    gpus: float = 0.0

    @property
    def max_iterations(self) -> int:
        """The largest number of iterations of L-BFGS."""
        return self.config.crf.max_iterations

    @property
    def one_process_trainer(self) -> OneProcessTrainer:
        """The family itself trains."""
        return self

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return the digest of the unlabelled text, where characters are clustered."""
        unlabelled = self.config.crf.unlabelled
        return {"slm.crf.unlabelled": digest_unlabelled_texts(unlabelled)} if unlabelled else {}

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None] = lambda: None,
    ) -> Seconds:
        """Cluster characters if `slm.crf.unlabelled` is set, train the field, and write `folder`.

        Returns the seconds that the training of the field took. Raises DataError where no sentence has a character.
        """
        clusters = self._cluster_unlabelled_characters(seed)
        started = time.monotonic()
        train_crf(sentences, labels, self.config.crf, folder, clusters, report_iteration)
        return time.monotonic() - started

    def _cluster_unlabelled_characters(self, seed: int) -> CharacterClusters:
        path = self.config.crf.unlabelled
        if not path:
            return {}
        started = time.monotonic()
        log.info("SLM (CRF): clustering the characters of %s", path)
        clusters = cluster_characters(
            lambda: read_unlabelled_texts(path, CorpusSurvey()), self.config.crf.clusters, seed
        )
        seconds = time.monotonic() - started
        log.info("SLM (CRF): %d characters clustered in %s", len(clusters), format_duration(seconds))
        return clusters

    def load(
        self,
        folder: Path,
        device: torch.device | None = None,
        *,
        batch_size: int = 1,
        sentence_vectors: bool = False,
    ) -> CrfTagger:
        """Load a trained field (`load_crf`). Raises ConfigError where the folder holds none."""
        return load_crf(folder)

    def load_known_characters(self, folder: Path) -> frozenset[str]:
        """Return the characters met in training. Raises ConfigError where the folder holds no field."""
        return load_crf(folder).characters
