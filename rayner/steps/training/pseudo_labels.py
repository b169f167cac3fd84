"""Silver sentences: unlabelled text with the small model's tags, which an LLM made from scratch learns from first.

Labelled text is too little to teach a new decoder the language. What the small model says of twenty thousand
sentences of the corpus is wrong here and there, but it teaches the script, the markup and most of the style; the gold
sentences follow and have the last word (docs/log.md).
"""

from typing import Any

import ray

from rayner.config.settings import Config
from rayner.corpus.examples import draw, read_examples, write_examples
from rayner.corpus.reading import Survey, beginning
from rayner.modeling.training import use_threads
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, whole_folder
from rayner.steps import data
from rayner.steps.loading import tagger
from rayner.text.labelled import Example

_AT_ONCE = 2_000  # sentences of a task
_FOLDER = ("scratch", "silver")


def make_silver(config: Config, run: Run) -> list[Example]:
    """Draw sentences of `llm.silver.text`, none of them a labelled one, and keep them as the small model tags them."""
    settings = config.llm.silver
    labelled = {example.text.strip() for example in data.part(run, data.ALL)}
    texts = beginning(str(settings.text), Survey())
    drawn = draw(texts, settings.sentences, config.seed, longest=config.llm.max_chars, without=labelled)
    log.info("LLM: the small model tags %d sentences of %s for it", len(drawn), settings.text)
    task = ray.remote(num_cpus=config.score.cpus, num_gpus=config.score.gpus)(_tagged)
    parts = [drawn[at : at + _AT_ONCE] for at in range(0, len(drawn), _AT_ONCE)]
    made = [example for part in ray.get([task.remote(config, run, part) for part in parts]) for example in part]
    with whole_folder(run.path(*_FOLDER)) as folder:
        write_examples(folder / "silver.jsonl", made)
    return made


def silver(run: Run) -> list[Example]:
    """What `make_silver` kept."""
    return read_examples(run.local(*_FOLDER, "silver.jsonl"))


def _tagged(config: Config, run: Run, texts: list[str]) -> list[Example]:
    use_threads(int(config.score.cpus))
    answers: Any = tagger(config, run)(texts)
    return [Example(text, tuple(score.spans)) for text, (score, _) in zip(texts, answers, strict=True)]
