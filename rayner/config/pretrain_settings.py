"""The settings of pretraining an encoder on unlabelled text (see `rayner.config.settings`)."""

from dataclasses import dataclass

from rayner.config.conditions import pretraining_starts_from_scratch
from rayner.config.declare import StepIf, section, setting
from rayner.config.model_settings import DTYPES, EncoderScratchConfig, WorkersConfig


@dataclass(frozen=True)
class PretrainConfig:
    """Pretraining of an encoder on the corpus, without labels."""

    objective: str = setting(
        "replaced",
        "replaced (find the characters that a small second model has replaced: ELECTRA) | masked (predict hidden "
        "characters: BERT)",
        choices=("replaced", "masked"),
    )
    start: str = setting(
        "scratch", "checkpoint folder or hub name to go on from, or `scratch`; `replaced` goes on from ELECTRA only"
    )
    scratch: EncoderScratchConfig = section(
        EncoderScratchConfig, (StepIf("pretrain", pretraining_starts_from_scratch),)
    )
    exclude: list[str] = setting(
        [],
        "labelled files, or parts of a run such as RUN/data/dev.jsonl: texts of the corpus that share 12 characters in "
        "a row with one of their sentences are left out",
        by_content=True,
    )
    variants: str | None = setting(
        None,
        "text file with two characters a line; for `exclude`, the first counts as the second, such as a simplified "
        "character as the traditional one",
        by_content=True,
    )
    hours: float = setting(2.0, "hours of training, at most; 0: no limit", at_least=0)
    steps: int = setting(0, "training steps, at most; 0: no limit", at_least=0)
    batch_size: int = setting(32, "windows per step, over all workers", above=0)
    window_tokens: int = setting(
        128, "tokens of a window of text, with its two special tokens; a character is one token", at_least=4
    )
    mask: float = setting(0.15, "share of the characters that are hidden or replaced", above=0, at_most=0.9)
    lr: float = setting(5e-4, "peak learning rate", above=0)
    warmup_steps: int = setting(
        200, "steps with rising learning rate; then it stays, and falls linearly over the last tenth", at_least=0
    )
    weight_decay: float = setting(0.01, "AdamW's weight decay", at_least=0)
    dtype: str = setting(
        "float32", "float32 | bfloat16: arithmetic of the forward and backward passes; weights are in float32",
        choices=DTYPES,
    )  # fmt: skip
    held_out: int = setting(
        256, "windows that are never trained on, to measure the loss; at most a tenth of all windows", above=0
    )
    checkpoint_minutes: float = setting(10.0, "minutes between checkpoints; 0: only at the end", at_least=0, steps=())
    workers: WorkersConfig = section(WorkersConfig, ())
