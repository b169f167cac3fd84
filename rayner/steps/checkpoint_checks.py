"""Check, before a job starts, the checkpoints that the settings name: configuration, weights and tokenizer.

Of weights only the headers are read. Of a model on the hub, only its configuration is downloaded.
"""

from pathlib import Path

from rayner.checkpoints.file_choice import choose_checkpoint_files
from rayner.checkpoints.hub import HubRepository, list_repository
from rayner.checkpoints.weight_files import WeightFacts, check_checkpoint_and_read_weight_facts
from rayner.config.conditions import has_llm
from rayner.config.settings import Config
from rayner.errors import ConfigError, JobError, RaynerError
from rayner.runs.hub_names import find_cached_model, is_hub_name, unreachable_model_error
from rayner.runs.storage import local_model_name
from rayner.text.messages import shorten_repr


def list_pretrained_models(config: Config) -> dict[str, str]:
    """Return the checkpoint folders and hub names in the settings, by the setting's key.

    Models that the job itself makes are left out.
    """
    named = {"slm.model": config.slm.model}
    if has_llm(config):
        named |= {"llm.model": config.llm.model, "index.encoder": config.index.encoder}
    return {key: model for key, model in named.items() if model not in ("scratch", "slm", "ngrams")}


def check_and_describe_checkpoints(config: Config) -> list[str]:
    """Check all checkpoints in the settings; return a line for each. Raises as `check_and_describe_checkpoint`."""
    return [
        f"{key}: {check_and_describe_checkpoint(key, model)}" for key, model in list_pretrained_models(config).items()
    ]


def check_and_describe_checkpoint(setting_key: str, model: str) -> str:
    """Check a checkpoint folder or hub name; return a line about its weights.

    Raises ConfigError, which names the setting, if it cannot be loaded.
    """
    try:
        if is_hub_name(model):
            return _check_and_describe_hub_model(setting_key, model)
        folder = local_model_name(model)
        check_model_has_configuration(setting_key, folder)
        return f"{model}: {_describe_weights(check_checkpoint_and_read_weight_facts(Path(folder)))}"
    except OSError as error:
        raise ConfigError(f"{setting_key}: {model}: expected files that can be read, found: {error}") from error
    except RaynerError as error:
        message = str(error)
        raise ConfigError(message if message.startswith(f"{setting_key}: ") else f"{setting_key}: {message}") from error


def check_model_has_configuration(setting_key: str, model: str) -> None:
    """Check that a checkpoint folder or hub name has a configuration.

    Raises ConfigError, which names the setting, if it has none.
    """
    from transformers import AutoConfig

    from rayner.modeling.checkpoint import reject_pickles_and_build_kwargs

    try:
        AutoConfig.from_pretrained(model, trust_remote_code=reject_pickles_and_build_kwargs(model)["trust_remote_code"])
    except (OSError, ValueError) as error:
        expected = "folder" if Path(model).exists() else "folder or hub name"
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{setting_key}: expected the {expected} of a checkpoint, found {shorten_repr(model)}: {reason}"
        ) from error


def _check_and_describe_hub_model(setting_key: str, name: str) -> str:
    try:
        repository = list_repository(name)
    except JobError as error:  # no network
        cached = find_cached_model(name)
        if cached is None:
            raise unreachable_model_error(
                name, str(error).partition(" cannot be reached: ")[2] or str(error)
            ) from error
        facts = check_checkpoint_and_read_weight_facts(cached)
        return f"{name}: from this machine's cache of the hub, {_describe_weights(facts)}"
    files = choose_checkpoint_files(name, repository.files.keys())
    if files.is_pickled:
        raise ConfigError(
            f"{name}: expected weights in safetensors, found {files.weights_entry}, a pickle: run "
            f"`rayner fetch {name} FOLDER`, which converts it, and name the folder"
        )
    check_model_has_configuration(setting_key, name)
    return (
        f"{name} on the hub, now {repository.commit[:12]}: each node downloads {_format_weight_size(repository)}; "
        "`rayner fetch` gets it once, into a folder that a run records by its digest"
    )


def _describe_weights(facts: WeightFacts) -> str:
    files = "1 file" if facts.n_files == 1 else f"{facts.n_files} files"
    return f"{facts.n_parameters:,} parameters in {', '.join(facts.dtypes)}, {files} of {_format_gib(facts.n_bytes)}"


def _format_weight_size(repository: HubRepository) -> str:
    sizes = [
        file.n_bytes for name, file in repository.files.items() if name.endswith(".safetensors") and "/" not in name
    ]
    return _format_gib(sum(size or 0 for size in sizes)) if sizes and None not in sizes else "its weights"


def _format_gib(n_bytes: int) -> str:
    return f"{n_bytes / 1024**3:.2f} GiB" if n_bytes >= 1024**2 else f"{n_bytes:,} bytes"
