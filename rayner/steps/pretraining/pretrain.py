"""The job that pretrains an encoder on the corpus and writes it as a checkpoint folder (`out`).

The run folder holds the text as tokens and the checkpoints of the training. It is needed only to resume.
"""

import shutil
from pathlib import Path
from typing import Any

from rayner.cluster.ray_train import run_training
from rayner.config.conditions import pretraining_starts_from_scratch
from rayner.config.settings import Config, json_digest
from rayner.config.step_settings import step_settings
from rayner.errors import ConfigError
from rayner.modeling.finite_weights import require_finite_files
from rayner.modeling.scratch import write_scratch_bert, write_scratch_electra
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.pretraining.length import first_falling_step
from rayner.pretraining.objectives import require_fitting_checkpoint, require_special_tokens
from rayner.pretraining.record import (
    PretrainingRecord,
    TrainingFacts,
    read_pretraining_record,
    write_pretraining_record,
)
from rayner.runs.output_folder import check_output_folder, open_output_folder
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, folder_sha256, model_digest, replace_folder
from rayner.runs.status import format_duration
from rayner.runs.storage import StoragePath, local_model_name, storage_path
from rayner.steps.checkpoint_checks import check_and_describe_checkpoint
from rayner.steps.forecast.workload import READY
from rayner.steps.pretraining.text import PretrainingText, survey_text, warn_of_unknown_characters, write_text_windows
from rayner.steps.pretraining.worker import (
    MODEL_FOLDER,
    mean_loss_or_0,
    order_windows,
    pretrain_on_worker,
    read_position,
)
from rayner.steps.resources import check_and_describe_pretraining_resources

PURPOSE = "pretrained encoder"
_CONFIG_FILE = "config.json"
_ENCODER = ("models", "encoder")  # in the run folder


def check_and_describe_pretraining(config: Config, run: Run) -> list[str]:
    """Check what pretraining needs: folder, corpus, labelled files, checkpoint and resources. Return lines about them.

    Raises ConfigError or DataError for the first problem.
    """
    lines, start = [], config.pretrain.start
    check_output_folder(_encoder_folder(config), PURPOSE)
    if not pretraining_starts_from_scratch(config):
        lines.append(f"pretrain.start: {check_and_describe_checkpoint('pretrain.start', start)}")
        folder = local_model_name(start)
        require_special_tokens(start, CharTokenizer(load_tokenizer(folder)))
        _require_room_for_window(config, start, require_fitting_checkpoint(config.pretrain.objective, folder))
    lines += check_and_describe_pretraining_resources(config)
    text = survey_text(config)
    _require_same_inputs(config, _collect_inputs(config, text))
    hours, steps = config.pretrain.hours, config.pretrain.steps
    limits = [format_duration(3600 * hours)] * bool(hours) + [f"{steps:,} steps"] * bool(steps)
    length = " or ".join(limits)
    return [*lines, *text.describe(), f"pretraining: {length}; run folder: {run.root}; encoder: {config.out}", READY]


def pretrain(config: Config, run: Run) -> dict[str, Any]:
    """Pretrain an encoder, write it to the folder `out`, and return what `pretraining.json` records.

    A training that was interrupted resumes from its last checkpoint. Data and learning rates depend only on the
    settings, the text and the number of the step, so it ends with the same weights.
    """
    text = survey_text(config)
    inputs = _collect_inputs(config, text)
    _require_same_inputs(config, inputs)

    def train() -> dict[str, Any]:
        return _train_and_copy_encoder(config, run, text, inputs)

    result = run.run_step("pretrain", inputs, train)
    with open_output_folder(_encoder_folder(config), PURPOSE) as output:
        source = run.local_path(*_ENCODER)
        names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        # The configuration comes last: without it, nothing takes the folder for a checkpoint.
        for name in sorted(names, key=lambda name: name == _CONFIG_FILE):
            with output.writer(name) as stream, (source / name).open("rb") as file:
                shutil.copyfileobj(file, stream)
    log.info("pretrained encoder: %s; use it with slm.model=%s", config.out, config.out)
    return result


def _encoder_folder(config: Config) -> StoragePath:
    """Return the folder of the encoder. Raises ConfigError if the settings name none."""
    if not config.out:
        raise ConfigError("out: expected a folder for the pretrained encoder (out=DIR), found none")
    return storage_path(config.out)


def _collect_inputs(config: Config, text: PretrainingText) -> dict[str, Any]:
    """Return the settings and digests on which the weights depend."""
    inputs = {**step_settings(config, "pretrain"), "corpus": text.facts.digest, "exclude": text.facts.labelled_digest}
    if not pretraining_starts_from_scratch(config):
        inputs["start"] = model_digest(local_model_name(config.pretrain.start))
    return inputs


def _require_same_inputs(config: Config, inputs: dict[str, Any]) -> None:
    """Raise ConfigError if the folder `out` holds an encoder that was made from other inputs."""
    record = read_pretraining_record(_encoder_folder(config))
    if record is None or record.inputs == inputs:
        return
    differing = sorted(key for key in {*record.inputs, *inputs} if record.inputs.get(key) != inputs.get(key))
    raise ConfigError(
        f"out: expected a new folder, found {config.out} with an encoder made from other inputs "
        f"({', '.join(differing)}): name another folder, or start over beside it with --fresh"
    )


def _require_room_for_window(config: Config, start: str, max_tokens: int) -> None:
    if config.pretrain.window_tokens > max_tokens:
        raise ConfigError(
            f"pretrain.window_tokens: expected at most {max_tokens}, which {start} takes, found "
            f"{config.pretrain.window_tokens}"
        )


def _train_and_copy_encoder(config: Config, run: Run, text: PretrainingText, inputs: dict[str, Any]) -> dict[str, Any]:
    """Train, and write the encoder and its record to the run folder; return the digest and the losses."""
    base = _write_scratch_model(config, run, text) if pretraining_starts_from_scratch(config) else config.pretrain.start
    tokenizer = CharTokenizer(load_tokenizer(local_model_name(base)))
    warn_of_unknown_characters(text, tokenizer, base)
    n_windows = run.run_step(
        "pretrain_text", inputs, lambda: {"windows": write_text_windows(config, run, text, tokenizer)}
    )["windows"]
    settings = {"config": config, "run": run, "base": base}
    name = f"pretrain-{json_digest(inputs)}"
    result = run_training(pretrain_on_worker, settings, run, name, config.pretrain.workers)
    if result.checkpoint is None:
        raise RuntimeError(f"{name}: expected a checkpoint at the end of the training, found none")
    with replace_folder(run.path(*_ENCODER)) as folder, result.checkpoint.as_directory() as checkpoint:
        model = Path(checkpoint) / MODEL_FOLDER
        require_finite_files(model)
        shutil.copytree(model, folder, dirs_exist_ok=True)
        training = _collect_training_facts(config, Path(checkpoint), n_windows)
        write_pretraining_record(folder, PretrainingRecord(inputs, text.facts, training))
    facts = {"steps": training.steps, "loss": training.loss, "held_out_loss": training.held_out_loss}
    return {**facts, "digest": folder_sha256(run.path(*_ENCODER))}


def _collect_training_facts(config: Config, checkpoint: Path, n_windows: int) -> TrainingFacts:
    from rayner.checkpoints.weight_files import check_and_read_weight_facts

    position = read_position(checkpoint)
    order = order_windows(config, n_windows)
    return TrainingFacts(
        steps=position.step,
        first_falling_step=first_falling_step(position.step),
        epochs=round(position.step * order.batch_size / (n_windows - order.n_held_out), 4),
        windows=n_windows,
        held_out_windows=order.n_held_out,
        loss=mean_loss_or_0(position.losses),
        held_out_loss=position.held_out_losses[str(position.step)],
        held_out_losses=position.held_out_losses,
        parameters=check_and_read_weight_facts(checkpoint / MODEL_FOLDER).n_parameters,
    )


def _write_scratch_model(config: Config, run: Run, text: PretrainingText) -> str:
    """Write an untrained encoder whose vocabulary is the text's frequent characters; return the path of its folder."""
    write = write_scratch_electra if config.pretrain.objective == "replaced" else write_scratch_bert
    with replace_folder(run.path("scratch", "encoder")) as folder:
        write(folder, text.char_counts, config.pretrain.scratch, config.seed)
        _require_room_for_window(
            config, "an encoder from scratch", require_fitting_checkpoint(config.pretrain.objective, folder)
        )
    return str(run.path("scratch", "encoder"))
