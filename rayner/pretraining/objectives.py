"""What an encoder learns from unlabelled text: to find replaced characters (ELECTRA) or to predict hidden ones (BERT).

Finding replaced characters (Clark et al. 2020) gives a loss at every character, not only at the hidden ones. A small
generator proposes the replacements; it shares its embeddings with the encoder and learns beside it.

Dropout is off: a text is read once or a few times, so the encoder does not learn it by heart (Geiping and Goldstein
2023). The checkpoint keeps its dropout for fine-tuning.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
)

from rayner.errors import ConfigError
from rayner.modeling.checkpoint import checkpoint_error, reject_pickles_and_build_kwargs
from rayner.modeling.finite_weights import require_finite_weights
from rayner.modeling.tokenizer import CharTokenizer
from rayner.pretraining.training_order import Ints, MaskedWindows

GENERATOR_FOLDER = "generator"  # in the folder of an encoder, so that pretraining can go on from it
_GENERATOR_SHARE = 4  # the encoder has so many times the width of the generator
_FINDING_WEIGHT = 50.0  # of the loss of finding replaced characters, beside the generator's; as in ELECTRA
_MASK_SHARE, _RANDOM_SHARE = 0.8, 0.1  # of hidden characters: shown as [MASK], or as a random character; as in BERT


class Objective(Protocol):
    """An encoder and what it learns. As a torch module it takes MaskedWindows and returns the loss."""

    encoder: Any

    def __call__(self, windows: MaskedWindows) -> torch.Tensor:
        """Return the mean loss of the windows."""
        ...

    def save(self, folder: Path) -> None:
        """Write the checkpoint of the encoder, and of the generator if there is one, without the tokenizer."""
        ...


class MaskedCharacters(torch.nn.Module):
    """Learns to predict hidden characters: most are shown as [MASK], some as a random character or unchanged."""

    def __init__(self, encoder: Any, mask_token: int) -> None:  # noqa: ANN401 - a model of transformers
        super().__init__()
        self.encoder, self._mask_token = encoder, mask_token

    def forward(self, windows: MaskedWindows) -> torch.Tensor:
        """Return the mean cross entropy at hidden characters."""
        shown = np.where(windows.draws < _MASK_SHARE, self._mask_token, windows.tokens)
        is_random = (windows.draws >= _MASK_SHARE) & (windows.draws < _MASK_SHARE + _RANDOM_SHARE)
        shown = np.where(is_random, windows.random_tokens, shown)
        tokens, is_hidden = _to_tensors(self.encoder, windows.tokens, windows.is_hidden)
        (inputs,) = _to_tensors(self.encoder, np.where(windows.is_hidden, shown, windows.tokens))
        logits = _logits_at(self.encoder, inputs, is_hidden)
        return torch.nn.functional.cross_entropy(logits.float(), tokens[is_hidden])

    def save(self, folder: Path) -> None:
        """Write the checkpoint of the encoder, without the tokenizer."""
        self.encoder.save_pretrained(folder)


class ReplacedCharacters(torch.nn.Module):
    """Learns to find the characters that a generator has replaced."""

    def __init__(self, encoder: Any, generator: Any, mask_token: int) -> None:  # noqa: ANN401 - models of transformers
        super().__init__()
        self.encoder, self.generator, self._mask_token = encoder, generator, mask_token
        generator.electra.embeddings = encoder.electra.embeddings
        generator.generator_lm_head.weight = encoder.electra.embeddings.word_embeddings.weight

    def forward(self, windows: MaskedWindows) -> torch.Tensor:
        """Return the sum of both mean losses: of the generator at hidden characters, of the encoder at all."""
        tokens, is_hidden, draws = _to_tensors(self.encoder, windows.tokens, windows.is_hidden, windows.draws)
        logits = _logits_at(self.generator, tokens.masked_fill(is_hidden, self._mask_token), is_hidden).float()
        generator_loss = torch.nn.functional.cross_entropy(logits, tokens[is_hidden])
        inputs = tokens.masked_scatter(is_hidden, _sample(logits.detach(), draws[is_hidden]))
        encoder_loss: torch.Tensor = self.encoder(input_ids=inputs, labels=(inputs != tokens).long()).loss
        return generator_loss + _FINDING_WEIGHT * encoder_loss

    def save(self, folder: Path) -> None:
        """Write the checkpoints of the encoder and of the generator, without the tokenizer."""
        self.encoder.save_pretrained(folder)
        self.generator.save_pretrained(folder / GENERATOR_FOLDER)


def load_objective(
    name: str, folder: str | Path, tokenizer: CharTokenizer, device: torch.device, seed: int
) -> MaskedCharacters | ReplacedCharacters:
    """Load a checkpoint to pretrain it. The parts that it lacks, such as the generator, are made with random weights.

    Args:
        name: `replaced` or `masked`.
        folder: The checkpoint folder or hub name.
        tokenizer: The checkpoint's tokenizer.
        device: The device.
        seed: The seed of random weights.

    Raises:
        ConfigError: The checkpoint cannot be loaded, or not for this objective.
        NotFiniteError: A weight is NaN or infinite.

    """
    mask_token = require_special_tokens(folder, tokenizer)
    require_fitting_checkpoint(name, folder)
    torch.manual_seed(seed)
    objective: MaskedCharacters | ReplacedCharacters
    if name == "masked":
        objective = MaskedCharacters(_load(AutoModelForMaskedLM, folder), mask_token)
    else:
        encoder = _load(ElectraForPreTraining, folder)
        generator_folder = Path(folder) / GENERATOR_FOLDER
        if generator_folder.is_dir():
            generator = _load(ElectraForMaskedLM, generator_folder)
        else:
            generator = ElectraForMaskedLM(_configure_generator(encoder.config))
        objective = ReplacedCharacters(encoder, generator, mask_token)
    require_finite_weights(objective, folder)
    return objective.to(device).eval()


def require_fitting_checkpoint(name: str, folder: str | Path) -> int:
    """Return the largest number of tokens that a checkpoint takes.

    Raises ConfigError if it cannot be pretrained by this objective.
    """
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error
    allowed = ("electra",) if name == "replaced" else ("bert", "roberta", "electra")
    if config.model_type not in allowed:
        hint = "; set pretrain.objective=masked" if name == "replaced" else ""
        raise ConfigError(
            f"{folder}: expected a checkpoint of {' or '.join(allowed)} for pretrain.objective={name}, found one of "
            f"{config.model_type}{hint}"
        )
    return int(config.max_position_embeddings)


def require_special_tokens(folder: str | Path, tokenizer: CharTokenizer) -> int:
    """Return the token that hides a character. Raises ConfigError if a special token is missing."""
    for name in ("mask_token", "cls_token", "sep_token"):
        if getattr(tokenizer.tokenizer, name) is None:
            raise ConfigError(f"{folder}: expected a tokenizer with a {name}, found none: name another checkpoint")
    return int(tokenizer.tokenizer.mask_token_id)


def list_ordinary_tokens(tokenizer: CharTokenizer) -> Ints:
    """Return the tokens of a vocabulary that are not special. The unknown token is special."""
    return np.setdiff1d(np.arange(len(tokenizer.tokenizer)), tokenizer.tokenizer.all_special_ids)


def _load(model_class: Any, folder: str | Path) -> Any:  # noqa: ANN401 - a class of transformers and its model
    try:
        return model_class.from_pretrained(str(folder), dtype=torch.float32, **reject_pickles_and_build_kwargs(folder))
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error


def _configure_generator(encoder: ElectraConfig) -> ElectraConfig:
    """Return the configuration of a generator: as deep as the encoder, and a quarter as wide."""
    heads = max(1, encoder.num_attention_heads // _GENERATOR_SHARE)
    hidden = max(1, encoder.hidden_size // _GENERATOR_SHARE // heads) * heads
    narrow = {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": max(1, encoder.intermediate_size // _GENERATOR_SHARE),
    }
    return ElectraConfig(**{**encoder.to_dict(), **narrow})


def _to_tensors(model: Any, *arrays: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401 - a model; arrays of any type
    return tuple(torch.from_numpy(np.ascontiguousarray(array)).to(model.device) for array in arrays)


def _logits_at(model: Any, inputs: torch.Tensor, is_wanted: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - a masked language model
    """Return the logits at some tokens, shape [n_wanted, vocabulary].

    The output layer takes most of the memory, so it sees these tokens only.
    """
    hidden = model.base_model(input_ids=inputs).last_hidden_state[is_wanted]
    if hasattr(model, "generator_lm_head"):  # ELECTRA
        logits = model.generator_lm_head(model.generator_predictions(hidden))
    else:
        logits = model.cls(hidden) if hasattr(model, "cls") else model.lm_head(hidden)  # BERT, RoBERTa
    result: torch.Tensor = logits
    return result


def _sample(logits: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return a token for each row of logits, by a random number in [0, 1) each: the quantile of the softmax.

    Unlike torch's sampling, it depends neither on the device nor on the number of workers.
    """
    cumulated = logits.softmax(-1).cumsum(-1)
    return (
        torch.searchsorted(cumulated, (draws * cumulated[:, -1]).unsqueeze(-1), right=True)
        .squeeze(-1)
        .clamp(max=logits.shape[-1] - 1)
    )
