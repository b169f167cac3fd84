"""The driver of a job uses no device: where it starts there may be no GPU, or a GPU that an actor needs whole.

The fixtures `run` and `with_crf`, and the test of the benchmark, run whole jobs under the same guard.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rayner.llm.adapter import check_and_measure_adapter, compute_adapter_shapes
from rayner.llm.model import add_lora
from rayner.runs.json_files import write_json
from rayner.runs.run_folder import Run
from rayner.runs.step_manifest import StepManifest
from rayner.steps import llm_loading
from rayner.steps.training.train_llm import train_llm
from tests.checkpoints import load_llm
from tests.cluster.driver import DriverUsedDeviceError, no_device_in_this_process
from tests.cluster.small import with_settings, write_inputs, write_llm


@pytest.fixture
def prepared(tmp_path):
    """A run before the step train_llm, and settings by which this step takes a pretrained LLM as it is."""
    config = with_settings(write_inputs(tmp_path), "llm", **write_llm(tmp_path / "llm"))
    run = Run(Path(config.run))
    write_json(run.path("steps", "data.json"), StepManifest({}, {"types": ["NR"]}).to_json())
    return config, run


def test_the_guard_refuses_what_uses_a_device(prepared):
    config, _ = prepared
    with no_device_in_this_process():
        for use in (
            lambda: torch.nn.Linear(1, 1).to("cpu"),
            lambda: llm_loading.llms.load_llm_checkpoint(config.llm.model),
            lambda: llm_loading.resolve_device("auto", 1),
        ):
            with pytest.raises(DriverUsedDeviceError):
                use()
    torch.nn.Linear(1, 1).to("cpu")


def test_after_training_the_driver_does_not_load_the_llm(prepared):
    config, run = prepared
    with no_device_in_this_process():
        train_llm(config, run)
    assert llm_loading.load_llm(config, run).types == ["NR"]


def test_an_adapter_must_fit_its_base_which_is_told_without_loading_it(prepared, tmp_path):
    config, _ = prepared
    base = config.llm.model
    shapes = compute_adapter_shapes(base, config.llm.lora)
    llm = load_llm(base, ["NR"], instruction="")
    adapted = add_lora(llm.model, config.llm.lora)
    adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(RuntimeError, match="expected weights that training changed in all 14"):
        check_and_measure_adapter(tmp_path / "adapter", shapes)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    trained = sum(parameter.numel() for name, parameter in adapted.named_parameters() if "lora_" in name)
    with no_device_in_this_process():
        assert compute_adapter_shapes(base, config.llm.lora) == shapes
        found = check_and_measure_adapter(tmp_path / "adapter", shapes)
    assert found == {"adapted_modules": 14, "adapter_parameters": trained}
    wider = compute_adapter_shapes(base, replace(config.llm.lora, r=5))
    with pytest.raises(RuntimeError, match=r"lora_A.weight of the shape \(5, 64\), .* found \(4, 64\)"):
        check_and_measure_adapter(tmp_path / "adapter", wider)
