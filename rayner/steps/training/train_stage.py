"""The record of a training stage of the LLM.

It is apart from `deepspeed_worker`, because Ray's controller of a training reads it and needs no model.
"""

from dataclasses import dataclass

from rayner.runs.storage import StoragePath


@dataclass(frozen=True)
class TrainStage:
    """One training stage of the LLM.

    name: `full` trains all parameters; `lora` trains an adapter.
    base: the checkpoint from which the stage starts.
    epochs: number of epochs.
    lr: peak learning rate.
    examples_folder: folder of the training examples that `write_missing_sft_examples` wrote.
    """

    name: str
    base: str
    epochs: int
    lr: float
    examples_folder: StoragePath

    @property
    def lr_setting_key(self) -> str:
        """The name of the setting that holds the learning rate, such as `llm.lr`."""
        return "llm.lr" if self.name == "lora" else "llm.full_lr"
