"""A driver without a GPU: whatever uses a device or loads a model in this process raises; Ray's workers do as ever."""

import sys
from contextlib import contextmanager

import pytest
import torch
from transformers import PreTrainedModel

from rayner.llm import model as llms
from rayner.modeling import devices
from rayner.steps import llm_loading  # noqa: F401 - first imported in the block, it would keep what refuses
from rayner.steps.training import train_encoder  # noqa: F401 - so that its names are replaced and given back
from rayner.taggers import encoder


class DriverUsedDeviceError(AssertionError):
    """The driver of a job did what only a task or an actor that was given a GPU may do."""


def _refuse(*_, **__):
    raise DriverUsedDeviceError("the driver used a device or loaded a model")


@contextmanager
def no_device_in_this_process():
    """While the block runs, no function of this process gets a device, moves a module, or loads a model."""
    functions = (devices.resolve_device, llms.load_llm_checkpoint, encoder.load_encoder_tagger)
    with pytest.MonkeyPatch.context() as patch:
        for module in [module for name, module in sys.modules.items() if name.startswith("rayner.")]:
            for name in [name for name, value in vars(module).items() if any(value is each for each in functions)]:
                patch.setattr(module, name, _refuse)
        patch.setattr(torch.nn.Module, "_apply", _refuse)  # to(), cuda(), half() and the like end here
        patch.setattr(torch.cuda, "_lazy_init", _refuse)
        patch.setattr(PreTrainedModel, "from_pretrained", _refuse)
        yield
