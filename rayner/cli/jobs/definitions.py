"""The jobs: what each runs, what it checks before, and which inputs it reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rayner.config.settings import Config

if TYPE_CHECKING:
    from rayner.runs.run_folder import Run  # importing it takes longer than an error in the settings may

JobFunction = Callable[[Config, "Run"], Any]
CheckFunction = Callable[[Config, "Run"], list[str]]


@dataclass(frozen=True)
class Job:
    """A job.

    `step`, `check` and `retry` are functions, or names of functions in the form `module:function`. A named function is
    imported only after the settings are found valid. So help, and errors in the settings, are printed without delay.

    name: the name of its command and of its status.
    description: the description in its help.
    step: the function that executes the job.
    check: the function that checks the job before it starts. It returns lines that describe the job, or raises an
        error. With `--dry-run`, `step` is not called.
    output_setting: the setting of the folder that the job writes, `run` or `out`. With `--fresh`, the job writes a new
        folder beside that folder.
    retry: the function that, with `--retry-set-aside`, makes `step` try segments again that were set aside. Without
        such a function the job does not have this option.
    inputs: the settings that name files or folders which the job reads. A local path among them must exist.
    """

    name: str
    description: str
    step: JobFunction | str
    check: CheckFunction | str
    output_setting: str = "run"
    retry: JobFunction | str | None = None
    inputs: tuple[str, ...] = ()


_FORGET_SET_ASIDE = "rayner.steps.tag.recovery:forget_set_aside_units"
_TRAINING_INPUTS = ("train", "slm.crf.unlabelled")

RUN = Job(
    "run",
    "Run the main job: labelled text and a corpus in, the tagged corpus and a report out.",
    "rayner.steps.pipeline:run_pipeline",
    "rayner.steps.preflight:check_and_describe_pipeline",
    retry=_FORGET_SET_ASIDE,
    inputs=("corpus", *_TRAINING_INPUTS),
)
TRAIN_SLM = Job(
    "train-slm",
    "Train the small model.",
    "rayner.steps.training.train_slm:train_slm",
    "rayner.steps.preflight:check_and_describe_training",
    inputs=_TRAINING_INPUTS,
)
BUILD_INDEX = Job(
    "build-index",
    "Index the training sentences, for examples in the LLM's prompt.",
    "rayner.steps.build_index:build_index",
    "rayner.steps.preflight:check_and_describe_llm_training",
    inputs=_TRAINING_INPUTS,
)
TRAIN_LLM = Job(
    "train-llm",
    "Fine-tune the LLM with DeepSpeed and LoRA.",
    "rayner.steps.training.train_llm:train_llm",
    "rayner.steps.preflight:check_and_describe_llm_training",
    inputs=_TRAINING_INPUTS,
)
SCORE = Job(
    "score",
    "Run both models on the held-out sentences.",
    "rayner.steps.score:predict_held_out_sentences",
    "rayner.steps.preflight:check_and_describe_training",
    inputs=_TRAINING_INPUTS,
)
TUNE_FUSION = Job(
    "tune-fusion",
    "Fit the fusion rule on the held-out sentences.",
    "rayner.steps.tune_fusion:tune_fusion",
    "rayner.steps.preflight:check_scores_and_describe_run",
)
TAG_CORPUS = Job(
    "tag",
    "Tag a corpus with both models and the fusion rule.",
    "rayner.steps.tag.tag_corpus:tag_corpus",
    "rayner.steps.preflight:check_and_describe_tagging",
    output_setting="out",
    retry=_FORGET_SET_ASIDE,
    inputs=("corpus",),
)
PRETRAIN = Job(
    "pretrain",
    "Pretrain an encoder on a corpus without labels, as a checkpoint for the small model.",
    "rayner.steps.pretraining.pretrain:pretrain",
    "rayner.steps.pretraining.pretrain:check_and_describe_pretraining",
    inputs=("corpus", "pretrain.exclude", "pretrain.variants"),
)
REPRODUCE = Job(
    "reproduce",
    "Run the published experiment on labelled sets, and print the paper's numbers beside ours.",
    "rayner.steps.reproduce:reproduce",
    "rayner.steps.reproduce:check_and_describe_reproduction",
    inputs=("datasets", "slm.crf.unlabelled"),
)
BENCH = Job(
    "bench",
    "Measure the speed of a run's models against other software, on its corpus.",
    "rayner.bench.benchmark:run_and_write_benchmark",
    "rayner.steps.preflight:check_and_describe_benchmark",
    inputs=("corpus",),
)
