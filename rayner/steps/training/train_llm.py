"""Train the LLM on the labelled sentences in one or two stages (method, section 3): all parameters, a LoRA adapter.

The settings say which stages run. A model made from scratch needs a stage that trains all parameters, because LoRA on a
frozen random model learns badly. A pretrained model usually needs LoRA only. Each stage runs on Ray Train workers with
DeepSpeed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayner.cluster.ray_train import run_training, share_checkpoint
from rayner.config.conditions import (
    examples_are_fixed,
    llm_is_trained,
    llm_learns_from_hints,
    llm_learns_from_retrieved_examples,
    prompts_show_hints,
)
from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.llm.adapter import check_and_measure_adapter, compute_adapter_shapes
from rayner.llm.description import (
    ADAPTER_FOLDER,
    BASE_FOLDER,
    LLM_FORMAT_VERSION,
    LlmDescription,
    write_llm_description,
)
from rayner.llm.prompts import FIXED_EXAMPLES_VERSION
from rayner.modeling.finite_weights import require_finite_files
from rayner.modeling.scratch import write_scratch_decoder
from rayner.runs.run_folder import Run, folder_sha256, model_digest, replace_folder
from rayner.runs.storage import StoragePath, local_model_name
from rayner.steps import data
from rayner.steps.llm_loading import choose_instruction
from rayner.steps.training.cross_fit_slm import cross_fit_slm
from rayner.steps.training.deepspeed_worker import train_on_worker
from rayner.steps.training.sft_examples import SftSource, write_missing_sft_examples
from rayner.steps.training.train_stage import TrainStage
from rayner.steps.training.training_state import STATE_FORMAT
from rayner.text.hints import HINT_VERSION


def collect_manifest_inputs(config: Config, run: Run) -> dict[str, Any]:
    """Return the settings, digests and the versions of prompts on which the trained LLM depends."""
    steps, files = ["data"], {"model": model_digest(config.llm.model)}
    if llm_learns_from_retrieved_examples(config):
        steps.append("build_index")
    if llm_learns_from_hints(config):
        steps.append("cross_fit_slm")
    digests = {step: run.digest_step_manifest(step) for step in steps}
    versions = {"llm_format": LLM_FORMAT_VERSION}
    if llm_is_trained(config) and examples_are_fixed(config):
        versions["fixed_examples"] = FIXED_EXAMPLES_VERSION
    if prompts_show_hints(config):
        versions["hint"] = HINT_VERSION
    return {**step_settings(config, "train_llm"), **versions, **files, **digests}


def train_llm(config: Config, run: Run) -> dict[str, Any]:
    """Train the LLM, write `models/llm`, and return the losses and sizes by stage.

    The folder holds `llm.json`. It also holds `base` if all parameters were trained on the labelled sentences, and
    `adapter` if a LoRA adapter was trained.

    If the LLM learns from hints, the step `cross_fit_slm` is done first.
    """
    if llm_learns_from_hints(config):
        cross_fit_slm(config, run)
    step_inputs = collect_manifest_inputs(config, run)
    job = LlmTraining(config, run, json_digest({**step_inputs, "training_state": STATE_FORMAT}))
    step_result = run.run_step("train_llm", step_inputs, job.train_all_stages)
    run.remove_resume_files("llm-")
    return step_result


@dataclass(frozen=True)
class LlmTraining:
    """The training stages of one LLM.

    digest: digest of everything that the trained LLM depends on, and of the format of checkpoints. It is part of the
        names of checkpoints and training examples in the run folder, so a job that resumes uses only files that were
        made with the same inputs and that it can read.
    """

    config: Config
    run: Run
    digest: str

    def train_all_stages(self) -> dict[str, Any]:
        """Train every stage that the settings ask for and write `models/llm`; return losses and sizes by stage."""
        llm, run = self.config.llm, self.run
        result: dict[str, Any] = {}
        base = self._write_scratch_model() if llm.model == "scratch" else llm.model
        with replace_folder(run.path("models", "llm")) as folder:
            if llm.full_epochs or llm.epochs:
                examples = self._write_examples_and_return_folder(base)
            if llm.full_epochs:
                stage = TrainStage("full", base, llm.full_epochs, llm.full_lr, examples)
                result["full"] = self._train_stage(stage, folder / BASE_FOLDER)
                base = share_checkpoint(run, folder / BASE_FOLDER)
            if llm.epochs:
                stage = TrainStage("lora", base, llm.epochs, llm.lr, examples)
                adapter = folder / ADAPTER_FOLDER
                trained = self._train_stage(stage, adapter)
                shapes = compute_adapter_shapes(local_model_name(base), llm.lora)
                result["lora"] = trained | check_and_measure_adapter(adapter, shapes)
            self._write_description(folder, base)
        return {**result, "digest": folder_sha256(run.path("models", "llm"))}

    def _write_scratch_model(self) -> str:
        """Write an untrained decoder whose vocabulary covers the training sentences; return the path of its folder."""
        config, run = self.config, self.run
        sentences = data.read_part(run, "train")
        types = run.entity_types()
        with replace_folder(run.path("scratch", "llm")) as folder:
            write_scratch_decoder(folder, [s.text for s in sentences], types, config.llm.scratch, config.seed)
        return str(run.path("scratch", "llm"))

    def _write_examples_and_return_folder(self, base: str) -> StoragePath:
        """Write the training examples and return their folder."""
        folder = self.run.path("train", f"llm-examples-train-{self.digest}")
        write_missing_sft_examples(SftSource(self.config, self.run, base, "train", folder))
        return folder

    def _train_stage(self, stage: TrainStage, target: Path) -> dict[str, Any]:
        """Train one stage and copy the trained model or adapter to the folder `target`; return its loss and epochs."""
        settings = {"config": self.config, "run": self.run, "stage": stage}
        name = f"llm-{stage.name}-{self.digest}"
        result = run_training(train_on_worker, settings, self.run, name, self.config.llm.workers)
        if result.checkpoint is None or result.metrics is None:
            raise RuntimeError(f"{name}: expected a checkpoint at the end of the training, found none")
        with result.checkpoint.as_directory() as checkpoint:
            require_finite_files(Path(checkpoint) / "model")
            shutil.copytree(Path(checkpoint) / "model", target)
        return {"loss": result.metrics["loss"], "epochs": stage.epochs}

    def _write_description(self, folder: Path, base: str) -> None:
        """Write `llm.json`, which tells `load_llm` which model and adapter to load."""
        llm, types = self.config.llm, self.run.entity_types()
        base_name = BASE_FOLDER if llm.full_epochs else str(Path(base).absolute()) if Path(base).is_dir() else base
        adapter = ADAPTER_FOLDER if llm.epochs else None
        instruction = choose_instruction(self.config, types)
        hint = llm.hint if prompts_show_hints(self.config) else None
        write_llm_description(folder, LlmDescription(base_name, adapter, instruction, tuple(types), hint))
