"""The CRF tagger: a conditional random field over characters, by CRFsuite (Okazaki 2007).

It needs no GPU and no pretrained weights, and trains on one core in seconds to minutes. Like every small model, it
gives a distribution over the labels for each character: the marginal probabilities of the CRF.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pycrfsuite

from rayner.config.model_settings import CrfConfig, SlmConfig
from rayner.corpus.plain_text.encodings import UTF8
from rayner.corpus.reading import CorpusSurvey, digest_unlabelled_texts, read_unlabelled_texts
from rayner.corpus.scripts.conversion import ScriptConverter, build_script_converter, convert_texts
from rayner.errors import ConfigError, DataError
from rayner.modeling.descriptions import read_description, write_description
from rayner.runs.heartbeat import beat
from rayner.runs.progress import log
from rayner.runs.run_folder import file_sha256
from rayner.runs.status import format_duration
from rayner.taggers.character_clusters import CharacterClusters, cluster_characters
from rayner.taggers.crfsuite_file import require_finite_crf
from rayner.taggers.tagger import OneProcessTrainer, Seconds
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.tags import spans_to_tags

if TYPE_CHECKING:
    import torch  # a trained CRF tags without it

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


@dataclass(frozen=True)
class CrfFamily:
    """Conditional random fields with the settings `slm.crf`; implements `TaggerFamily` and `OneProcessTrainer`.

    gpus: the GPUs that training gets, for the clustering of characters; 0 clusters on the CPU.
    unlabelled_encoding: the encoding of the files of `slm.crf.unlabelled` without a byte order mark.
    matches_script: whether that text is read in the script of the training sentences.
    known_clusters: the clusters of the characters of `slm.crf.unlabelled`, if they are known; None if training makes
        them.
    """

    config: SlmConfig
    display_name: str = "CRF"
    cpus: int = 1
    gpus: float = 0.0
    unlabelled_encoding: str = UTF8
    matches_script: bool = False
    known_clusters: CharacterClusters | None = None

    @property
    def max_iterations(self) -> int:
        """The largest number of L-BFGS iterations."""
        return self.config.crf.max_iterations

    @property
    def one_process_trainer(self) -> OneProcessTrainer:
        """The family itself, which trains in one process."""
        return self

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return the digest of the unlabelled text; {} if `slm.crf.unlabelled` is not set."""
        path, encoding = self.config.crf.unlabelled, self.unlabelled_encoding
        return {"slm.crf.unlabelled": digest_unlabelled_texts(path, encoding)} if path else {}

    def with_clusters_of_trained_tagger(self, folder: Path) -> "CrfFamily":
        """Return the family with the clusters of a trained CRF. Raises ConfigError if the folder holds no CRF."""
        return replace(self, known_clusters=load_crf(folder).clusters)

    def train(
        self,
        sentences: Sequence[LabelledSentence],
        labels: Sequence[str],
        folder: Path,
        seed: int,
        report_iteration: Callable[[], None] = lambda: None,
    ) -> Seconds:
        """Cluster characters if `slm.crf.unlabelled` is set, train the CRF, and write it to `folder`.

        Returns:
            The seconds that training took, without the clustering.

        Raises:
            DataError: All sentences are empty, or there are none.

        """
        clusters = self.known_clusters
        if clusters is None:
            converter = build_script_converter(each.text for each in sentences) if self.matches_script else None
            clusters = self._cluster_unlabelled_characters(seed, converter)
        started = time.monotonic()
        train_crf(sentences, labels, self.config.crf, folder, clusters, report_iteration)
        return time.monotonic() - started

    def _cluster_unlabelled_characters(self, seed: int, converter: ScriptConverter | None) -> CharacterClusters:
        path = self.config.crf.unlabelled
        if not path:
            return {}
        from rayner.modeling.vector_search import resolve_faiss_device

        started = time.monotonic()
        log.info("SLM (CRF): clustering the characters of %s", path)
        device = resolve_faiss_device("auto", self.gpus)
        clusters = cluster_characters(
            lambda: convert_texts(read_unlabelled_texts(path, CorpusSurvey(), self.unlabelled_encoding), converter),
            self.config.crf.clusters, seed, device,
        )  # fmt: skip
        seconds = time.monotonic() - started
        log.info("SLM (CRF): %d characters clustered in %s", len(clusters), format_duration(seconds))
        return clusters

    def load(
        self,
        folder: Path,
        device: "torch.device | None" = None,
        *,
        batch_size: int = 1,
        sentence_vectors: bool = False,
    ) -> CrfTagger:
        """Load a trained CRF (`load_crf`, which names the errors)."""
        return load_crf(folder)

    def load_known_characters(self, folder: Path) -> frozenset[str]:
        """Return the characters seen in training. Raises ConfigError if the folder holds no CRF."""
        return load_crf(folder).characters
