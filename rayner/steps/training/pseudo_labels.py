"""Silver sentences: unlabelled text with the small model's tags, which an LLM made from scratch learns from first.

Labelled text is too little to teach a new decoder the language. What the small model says of twenty thousand
sentences of the corpus is wrong here and there, but it teaches the script, the markup and most of the style; the gold
sentences follow and have the last word (docs/log.md).
"""

import ray

from rayner.config.settings import Config
from rayner.corpus.labelled_sentences import read_labelled_sentences, sample_sentences, write_labelled_sentences
from rayner.corpus.reading import CorpusSurvey, read_unlabelled_texts
from rayner.modeling.devices import set_torch_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, replace_folder
from rayner.steps import data
from rayner.steps.loading import load_tagger
from rayner.text.labelled_text import LabelledSentence

_AT_ONCE = 2_000  # sentences of a task
_FOLDER = ("scratch", "silver")


def write_pseudo_labels(config: Config, run: Run) -> list[LabelledSentence]:
    """Draw sentences of `llm.pseudo_labels.text`, none of them labelled, and write them with the small model's tags."""
    settings = config.llm.pseudo_labels
    labelled = {example.text.strip() for example in data.read_part(run, data.ALL_PART)}
    texts = read_unlabelled_texts(str(settings.text), CorpusSurvey())
    drawn = sample_sentences(texts, settings.sentences, config.seed, max_chars=config.llm.max_chars, exclude=labelled)
    log.info("LLM: the small model tags %d sentences of %s for it", len(drawn), settings.text)
    task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_tagged)
    parts = [drawn[at : at + _AT_ONCE] for at in range(0, len(drawn), _AT_ONCE)]
    made = [example for part in ray.get([task.remote(config, run, part) for part in parts]) for example in part]
    with replace_folder(run.path(*_FOLDER)) as folder:
        write_labelled_sentences(folder / "silver.jsonl", made)
    return made


def read_pseudo_labels(run: Run) -> list[LabelledSentence]:
    """What `write_pseudo_labels` kept."""
    return read_labelled_sentences(run.local_path(*_FOLDER, "silver.jsonl"))


def _tagged(config: Config, run: Run, texts: list[str]) -> list[LabelledSentence]:
    set_torch_threads(int(config.score.cpus))
    predictions = load_tagger(config, run).predict(texts)
    return [LabelledSentence(text, prediction.spans) for text, prediction in zip(texts, predictions, strict=True)]
