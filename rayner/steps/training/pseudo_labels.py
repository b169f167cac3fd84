"""Pseudo-labels: unlabelled sentences that the small model tags, as first training text for an LLM from scratch.

The labelled sentences are too few to teach a new decoder the language. The small model's tags on twenty thousand
sentences of the corpus have errors, but the LLM learns characters, markup and most of the style from them. Training on
the gold sentences comes last (docs/log.md).
"""

import ray

from rayner.cluster.failures import unwrap_ray_task_error
from rayner.config.conditions import pseudo_labels_use_converted_corpus
from rayner.config.settings import Config
from rayner.corpus.labelled_sentences import (
    read_labelled_sentences,
    sample_distinct_sentences,
    write_labelled_sentences,
)
from rayner.corpus.reading import CorpusSurvey, read_unlabelled_texts
from rayner.corpus.scripts.conversion import convert_texts
from rayner.modeling.devices import set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, replace_folder
from rayner.steps import data
from rayner.steps.loading import load_tagger
from rayner.steps.scripts import load_script_converter
from rayner.text.finite_predictions import require_finite_predictions
from rayner.text.labelled_text import LabelledSentence

_TASK_SENTENCES = 2_000  # sentences that one Ray task labels
_FOLDER, _FILE = ("scratch", "pseudo_labels"), "sentences.jsonl"


def write_pseudo_labels(config: Config, run: Run) -> None:
    """Draw sentences from `llm.pseudo_labels.text`, tag them with the small model, and write them.

    Sentences that also occur in the labelled files are not drawn.
    """
    settings = config.llm.pseudo_labels
    labelled = {sentence.text.strip() for sentence in data.read_part(run, data.ALL_PART)}
    texts = sample_distinct_sentences(
        convert_texts(
            read_unlabelled_texts(str(settings.text), CorpusSurvey(), config.corpus.encoding_of(settings.text)),
            load_script_converter(config, run) if pseudo_labels_use_converted_corpus(config) else None,
        ),
        settings.sentences,
        config.seed,
        max_chars=config.llm.max_chars,
        exclude=labelled,
    )
    log.info("LLM: pseudo-labelling %d sentences of %s", len(texts), settings.text)
    task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_predict_pseudo_labels)
    batches = [texts[start : start + _TASK_SENTENCES] for start in range(0, len(texts), _TASK_SENTENCES)]
    with unwrap_ray_task_error():
        labelled_batches = ray.get([task.remote(config, run, batch) for batch in batches])
    with replace_folder(run.path(*_FOLDER)) as folder:
        write_labelled_sentences(folder / _FILE, [sentence for batch in labelled_batches for sentence in batch])


def read_pseudo_labels(run: Run) -> list[LabelledSentence]:
    """Read the sentences that `write_pseudo_labels` wrote."""
    return read_labelled_sentences(run.local_path(*_FOLDER, _FILE))


def _predict_pseudo_labels(config: Config, run: Run, texts: list[str]) -> list[LabelledSentence]:
    set_torch_threads(int(config.score.cpus))
    predictions = load_tagger(config, run).predict(texts)
    require_finite_predictions(texts, predictions, "llm.pseudo_labels.text: sentence", "; train the small model again")
    return [LabelledSentence(text, prediction.spans) for text, prediction in zip(texts, predictions, strict=True)]
