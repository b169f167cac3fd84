"""Names of models on the hub. Where they cannot be downloaded, say so at once: transformers tries for half a minute."""

import os
import re
from pathlib import Path

from rayner.errors import ConfigError
from rayner.runs.error_messages import first_line

TIMEOUT_SECONDS = 10.0
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def is_hub_name(model: str) -> bool:
    """Return whether a model is not here, but may be one of the hub."""
    return bool(_HUB_NAME.fullmatch(model)) and not Path(model).exists()


def hub_endpoint() -> str:
    """Return the address of the hub: HF_ENDPOINT, or else the one of huggingface_hub."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def find_cached_model(name: str) -> Path | None:
    """Return the folder in this machine's cache of the hub that holds a model's configuration and weights.

    None if the model was not downloaded here. Some of its weights may still be missing.
    """
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(config := try_to_load_from_cache(name, "config.json"), str):
        return None
    has_weights = any(isinstance(try_to_load_from_cache(name, file), str) for file in _WEIGHTS)
    return Path(config).parent if has_weights else None


def require_reachable_model(name: str) -> None:
    """Raise ConfigError if a model of the hub is not in this machine's cache and the hub cannot be reached."""
    if find_cached_model(name) is not None:
        return
    from huggingface_hub import get_session

    try:
        url = f"{hub_endpoint()}/{name}/resolve/main/config.json"
        get_session().head(url, timeout=TIMEOUT_SECONDS, follow_redirects=False)
    except Exception as error:  # those of the network come from several packages
        raise unreachable_model_error(name, first_line(error)) from error


def unreachable_model_error(name: str, reason: str) -> ConfigError:
    """Return the error for a model that is not here and cannot be downloaded.

    reason: why the hub cannot be reached.
    """
    return ConfigError(
        f"{name}: expected a checkpoint folder, or a name on the hub, found no such folder here, and {hub_endpoint()} "
        f"cannot be reached ({reason}): on a machine with a network run `rayner fetch {name} FOLDER`, copy FOLDER to "
        "storage that all nodes share, and name it in the settings"
    )
