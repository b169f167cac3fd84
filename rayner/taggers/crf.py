"""The small model without a network: a conditional random field over characters, by CRFsuite (Okazaki 2007).

It needs no GPU and no pretrained weights, trains in seconds to minutes on one core, and gives what the SLM gives: for
each character a distribution over the labels (the field's marginals), from which label and entropy follow.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pycrfsuite

from rayner.config.settings import CrfConfig
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import file_sha256
from rayner.taggers.character_clusters import CharacterClusters
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.tags import spans_to_tags

MODEL, ABOUT = "model.crfsuite", "crf.json"
_FLOOR = 1e-12  # a label that training never showed has no probability at all; its logarithm must be finite
_BEFORE, _AFTER = "\x02", "\x03"


@dataclass
class CrfTagger:
    """The field, its labels in the order of `bmes_labels`, the characters met in training, and their clusters."""

    field: Any
    labels: tuple[str, ...]
    characters: frozenset[str]
    clusters: CharacterClusters


def extract_features(text: str, clusters: CharacterClusters) -> list[list[str]]:
    """What the field sees at each character: those in a window of five, its bigrams, and the trigram in its middle.

    Of their clusters the same, but for the outer bigrams; of fine clusters no trigram.
    """
    padded = _BEFORE * 2 + text + _AFTER * 2
    found = [
        [
            "0" + a,
            "1" + b,
            "2" + c,
            "3" + d,
            "4" + e,
            "5" + a + b,
            "6" + b + c,
            "7" + c + d,
            "8" + d + e,
            "9" + b + c + d,
        ]
        for a, b, c, d, e in zip(*(padded[i:] for i in range(5)), strict=False)
    ]
    for k in range(len(next(iter(clusters.values()), ()))):
        names = [str(clusters[char][k]) if char in clusters else "-" for char in padded]
        trigrams = k == 0
        for own, (a, b, c, d, e) in zip(found, zip(*(names[i:] for i in range(5)), strict=False), strict=True):
            own += [f"{k}a{a}", f"{k}b{b}", f"{k}c{c}", f"{k}d{d}", f"{k}e{e}", f"{k}f{b},{c}", f"{k}g{c},{d}"]
            if trigrams:
                own.append(f"{k}h{b},{c},{d}")
    return found


class _Trainer(pycrfsuite.Trainer):  # type: ignore[misc] # untyped
    """CRFsuite's, telling of each iteration instead of printing."""

    say: Callable[[int], None]

    def message(self, message: str) -> None:
        """Called with each line of CRFsuite's log."""
        if message.startswith("***** Iteration #"):
            self.say(int(message.split("#")[1].split()[0]))


def train(
    examples: Sequence[LabelledSentence],
    labels: Sequence[str],
    config: CrfConfig,
    folder: Path,
    clusters: CharacterClusters | None = None,
    say: Callable[[int], None] = lambda iteration: None,
) -> None:
    """Train on labelled sentences and write `folder`. say: is told the number of each iteration.

    clusters: of characters, the coarsest first (`clusters.learn`); the field then looks at them too.

    Raises DataError where no sentence has a character.
    """
    trainer = _Trainer(verbose=False)
    trainer.say = say
    trainer.set_params({"c1": config.c1, "c2": config.c2, "max_iterations": config.iterations})
    written = [example for example in examples if example.text]
    if not written:
        raise DataError("expected labelled sentences to train on, found none")
    for example in written:
        trainer.append(extract_features(example.text, clusters or {}), spans_to_tags(example.spans, len(example.text)))
    folder.mkdir(parents=True, exist_ok=True)
    trainer.train(str(folder / MODEL))
    about = {
        "labels": list(labels),
        "characters": "".join(sorted({char for example in written for char in example.text})),
        "clusters": clusters or {},
        "sha256": file_sha256(folder / MODEL),
    }
    (folder / ABOUT).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> CrfTagger:
    """A trained field. Raises ConfigError if there is none, or one that is not as it was written.

    CRFsuite trusts its files, so a digest is looked at before it opens one.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        found = file_sha256(folder / MODEL)
        wanted, labels, characters = about["sha256"], tuple(about["labels"]), frozenset(about["characters"])
        clusters: CharacterClusters = about["clusters"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: expected a trained CRF, found: {' '.join(str(error).split())}") from error
    if found != wanted:
        raise ConfigError(
            f"{folder / MODEL}: expected the file that training wrote ({wanted}), found another ({found})"
        )
    tagger = pycrfsuite.Tagger()
    tagger.open(str(folder / MODEL))
    return CrfTagger(tagger, labels, characters, clusters)


def score(crf: CrfTagger, texts: Sequence[str]) -> list[SlmPrediction]:
    """Legal labels and entropies for each character of each text, in the order of the texts. No text is too long."""
    return decode_log_probs(list(_log_probs(crf, texts)), crf.labels)


def _log_probs(crf: CrfTagger, texts: Sequence[str]) -> Iterator[npt.NDArray[np.float32]]:
    """Log-probabilities [n_chars, n_labels] of each text."""
    known = crf.field.labels()
    columns = [crf.labels.index(label) for label in known]
    marginal = crf.field.marginal
    for text in texts:
        probs = np.full((len(text), len(crf.labels)), _FLOOR, dtype=np.float32)
        if text:
            crf.field.set(extract_features(text, crf.clusters))
            found = [[marginal(label, i) for label in known] for i in range(len(text))]
            probs[:, columns] = np.clip(np.array(found, dtype=np.float64), _FLOOR, 1.0)
        yield np.log(probs)
