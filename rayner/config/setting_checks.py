"""Check the values of settings, and which settings fit together."""

import json
import math
from typing import Any

from rayner.config import conditions
from rayner.config.declare import Declaration, iter_settings
from rayner.config.plugins import is_plugin_name
from rayner.config.renamed import RENAMED_VALUES
from rayner.config.settings import BLOCK, SENTENCE, Config, get_setting
from rayner.errors import ConfigError
from rayner.text.credentials import CREDENTIALS_IN_URL, holds_credentials
from rayner.text.messages import shorten_repr


def check_setting_values_and_combinations(config: Config) -> None:
    """Raise ConfigError, which names the key, for a value out of range or for settings that do not fit together."""
    for info in iter_settings(Config):
        value, declared = get_setting(config, info.key), info.declaration
        _check_utf8_encodable(info.key, value)
        _check_no_credentials(info.key, value)
        if value == [] and declared.choices:
            choices = ", ".join(map(str, declared.choices))
            raise ConfigError(f"{info.key}: expected at least one of {choices}, found none")
        for element in value if isinstance(value, list) else [value]:
            _check_choice(info.key, element, declared)
            _check_bounds(info.key, element, declared)
    _check_split_and_fusion(config)
    _check_model_settings(config)
    _check_vllm(config)
    _check_load_in(config)
    _check_decoding(config)
    _check_candidates(config)
    _check_pretraining(config)


def _check_utf8_encodable(key: str, value: Any) -> None:  # noqa: ANN401 - of any setting
    """Raise ConfigError for text that no manifest or path can hold.

    Such text holds half a surrogate pair, undecodable bytes of a path, or a null character.
    """
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{key}: expected text without null characters, found {shorten_repr(value)}")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{key}: expected text in UTF-8, found {shorten_repr(value)}") from None


def _check_no_credentials(key: str, value: Any) -> None:  # noqa: ANN401 - of any setting
    """Raise ConfigError for a URL with credentials, because settings are written into the run folder."""
    if isinstance(value, dict):
        for name, element in value.items():
            _check_no_credentials(f"{key}.{name}", element)
        return
    elements = value if isinstance(value, list) else [value]
    if any(isinstance(element, str) and holds_credentials(element) for element in elements):
        raise ConfigError(f"{key}: {CREDENTIALS_IN_URL}")


def _check_choice(key: str, value: Any, declared: Declaration) -> None:  # noqa: ANN401 - of any setting
    if not declared.choices or value in declared.choices:
        return
    if declared.accepts_plugin and is_plugin_name(value):
        return
    new_name = RENAMED_VALUES.get(key, {}).get(value)
    if new_name:
        raise ConfigError(f"{key}: {value!r} is now called {new_name!r}; write that")
    plugin = " or module:name" if declared.accepts_plugin else ""
    raise ConfigError(
        f"{key}: expected one of {', '.join(map(str, declared.choices))}{plugin}, found {shorten_repr(value)}"
    )


def _check_bounds(key: str, value: Any, declared: Declaration) -> None:  # noqa: ANN401 - of any setting
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: expected a finite number, found {value}")
    low, above, high = declared.at_least, declared.above, declared.at_most
    if above is not None and value <= above:
        raise ConfigError(f"{key}: expected more than {above}, found {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(f"{key}: expected {allowed}, found {value}")


def _check_multiple(key: str, value: int, divisor: int, what: str) -> None:
    """Raise ConfigError if a setting cannot be divided evenly. what: what `divisor` counts."""
    if value % divisor:
        raise ConfigError(f"{key}: expected a multiple of the {divisor} {what}, found {value}")


def _check_split_and_fusion(config: Config) -> None:
    """Raise ConfigError if settings of the split or of the fusion search do not fit together."""
    if config.split.dev + config.split.test >= 1:
        raise ConfigError(f"split: expected dev + test < 1, found {config.split.dev} and {config.split.test}")
    if config.split.by == SENTENCE and "documents" in config.fusion.rules:
        raise ConfigError(
            f"fusion.rules: expected a rule that can be fitted to single sentences (split.by={SENTENCE}), found "
            f"documents; use split.by={BLOCK}"
        )
    if config.split.folds == 1:
        raise ConfigError(f"split.folds: expected 0, or 2 or more, found {config.split.folds}")
    if config.fusion.weight_min >= config.fusion.weight_max:
        raise ConfigError(
            f"fusion.weight_min: expected less than fusion.weight_max ({config.fusion.weight_max}), "
            f"found {config.fusion.weight_min}"
        )


def _check_model_settings(config: Config) -> None:
    """Raise ConfigError if settings of the models do not fit together."""
    needs_encoder = conditions.has_llm(config) and config.index.encoder == "slm"
    if needs_encoder and not conditions.slm_is_encoder(config):
        raise ConfigError(
            "index.encoder: expected `ngrams` or the checkpoint of an encoder where slm.family is "
            f"{config.slm.family}, which has none, found 'slm'"
        )
    for name, model in (("slm", config.slm), ("llm", config.llm)):
        if model.overlap >= model.max_chars:
            raise ConfigError(f"{name}.overlap: expected less than {name}.max_chars, found {model.overlap}")
        _check_multiple(f"{name}.scratch.hidden", model.scratch.hidden, model.scratch.heads, "heads")
    _check_multiple("slm.batch_size", config.slm.batch_size, config.slm.workers.count, "workers")
    if config.score.slm.actors and not config.tag.keep_scores:
        raise ConfigError(
            "score.slm.actors: expected 0 with tag.keep_scores=false, because the actors with the LLM read the kept "
            f"predictions of the small model, found {config.score.slm.actors}"
        )


def _check_vllm(config: Config) -> None:
    """Raise ConfigError if the settings of vLLM do not fit the GPUs of an actor."""
    vllm, gpus = config.llm.vllm, config.score.gpus
    if not conditions.llm_runs_in_vllm(config):
        return
    if max(gpus, 1) != vllm.tensor_parallel:
        raise ConfigError(
            f"llm.vllm.tensor_parallel: expected the number of GPUs of an actor (score.gpus={gpus:g}), "
            f"found {vllm.tensor_parallel}"
        )
    if 0 < gpus < vllm.memory_share:
        raise ConfigError(
            f"llm.vllm.memory_share: expected at most the part of a GPU that an actor has (score.gpus={gpus:g}), "
            f"found {vllm.memory_share:g}"
        )


def _check_load_in(config: Config) -> None:
    """Raise ConfigError if a base model in 4 bits does not fit the other settings of the LLM."""
    if config.llm.load_in == "none" or conditions.has_no_llm(config):
        return
    if config.llm.full_epochs:
        raise ConfigError(
            f"llm.load_in: expected none with llm.full_epochs={config.llm.full_epochs}, because weights in 4 bits "
            f"cannot be trained, found {config.llm.load_in}; LoRA (llm.epochs) can be"
        )
    if config.llm.zero_stage == 3 and config.llm.epochs:
        raise ConfigError(
            "llm.zero_stage: expected 1 or 2 with llm.load_in=nf4, because ZeRO-3 divides weights while they load, "
            "before they are quantised, found 3"
        )
    if config.llm.engine == "vllm":
        raise ConfigError(
            f"llm.load_in: expected none with llm.engine=vllm, which loads the model itself, found {config.llm.load_in}"
        )


def _check_decoding(config: Config) -> None:
    """Raise ConfigError if answers that are generated freely do not fit the other settings of the LLM."""
    if not conditions.llm_generates_freely(config):
        return
    if config.llm.softmax_over != "all":
        raise ConfigError(
            "llm.softmax_over: expected all with llm.decoding=free, which allows every token, "
            f"found {config.llm.softmax_over}"
        )
    if conditions.llm_is_trained(config) and config.llm.loss_over != "all":
        raise ConfigError(
            "llm.loss_over: expected all with llm.decoding=free, because a loss over choices alone does not teach the "
            f"LLM to copy the text and to end, found {config.llm.loss_over}"
        )
    if conditions.llm_runs_in_vllm(config):
        raise ConfigError(
            "llm.engine: expected transformers with llm.decoding=free, which is not implemented for vLLM, found vllm"
        )


def _check_candidates(config: Config) -> None:
    """Raise ConfigError if the LLM cannot score candidates."""
    if not config.score.llm.candidates or conditions.has_no_llm(config):
        return
    for key, value, expected in (
        ("llm.engine", config.llm.engine, "transformers"),
        ("llm.decoding", config.llm.decoding, "automaton"),
    ):
        if value != expected:
            raise ConfigError(
                f"{key}: expected {expected} with score.llm.candidates=true, because only transformers under the tag "
                f"grammar can score a candidate that the LLM did not predict, found {value}; or set "
                "score.llm.candidates=false"
            )


def _check_pretraining(config: Config) -> None:
    """Raise ConfigError if settings of pretraining do not fit together."""
    pretrain = config.pretrain
    if not pretrain.hours and not pretrain.steps:
        raise ConfigError("pretrain.hours: expected more than 0 where pretrain.steps is 0, found 0")
    _check_multiple("pretrain.scratch.hidden", pretrain.scratch.hidden, pretrain.scratch.heads, "heads")
    _check_multiple("pretrain.batch_size", pretrain.batch_size, pretrain.workers.count, "workers")
    if pretrain.variants and not pretrain.exclude:
        raise ConfigError("pretrain.variants: expected with pretrain.exclude, which it serves, found without")
