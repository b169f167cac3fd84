"""The family of CRF taggers: train one by the settings `slm.crf`, with clusters of unlabelled characters; load it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rayner.config.model_settings import SlmConfig
from rayner.corpus.plain_text.encodings import UTF8
from rayner.corpus.reading import CorpusSurvey, digest_unlabelled_texts, read_unlabelled_texts
from rayner.corpus.scripts.conversion import ScriptConverter, build_script_converter, convert_texts
from rayner.runs.progress import log
from rayner.runs.status import format_duration
from rayner.taggers.character_clusters import CharacterClusters, cluster_characters
from rayner.taggers.crf import CrfTagger, load_crf, train_crf
from rayner.taggers.tagger import OneProcessTrainer, Seconds
from rayner.text.labelled_text import LabelledSentence

if TYPE_CHECKING:
    import torch  # a trained CRF tags without it


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
