"""The small model: a token classifier of the BERT family, read character by character (method, sections 1 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification

from rayner.errors import ConfigError
from rayner.modeling.batching import inference_batches
from rayner.modeling.checkpoint import checkpoint_error, safe_load_options
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.modeling.training import TORCH_DTYPES, mean_unit_vectors, pad_rows
from rayner.text.alignment import collapse_log_probs, expand_label
from rayner.text.labelled_text import LabelledSentence
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.segmentation import Window, split_windows
from rayner.text.tags import spans_to_tags

Vector = npt.NDArray[np.float32]
_NOTHING = np.zeros(0, dtype=np.float32)
IGNORED_LABEL = -100  # the label of tokens that are no character's, as torch's cross entropy skips it


@dataclass
class EncoderTagger:
    """The model with its labels and its way of spelling."""

    model: Any
    tokenizer: CharTokenizer
    labels: tuple[str, ...]
    device: torch.device

    @property
    def max_tokens(self) -> int:
        """Tokens that the model takes, its two special ones included."""
        return int(getattr(self.model.config, "max_position_embeddings", 512))


def load_encoder_tagger(
    folder: str | Path, device: torch.device, labels: Sequence[str] | None = None, *, dtype: str = "float32"
) -> EncoderTagger:
    """A checkpoint as a tagger; `token_labels` gives it a fresh head (to be trained), else it must have its own.

    Raises ConfigError where the checkpoint cannot be loaded or has no labels.
    """
    head = {}
    if labels is not None:
        head = {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "ignore_mismatched_sizes": True,
        }
    try:
        model = AutoModelForTokenClassification.from_pretrained(
            str(folder), dtype=TORCH_DTYPES[dtype], **safe_load_options(folder), **head
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error
    own = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
    if "O" not in own:
        raise ConfigError(f"{folder}: expected a trained tagger with BMES labels, found labels {own[:4]}")
    return EncoderTagger(model.to(device).eval(), CharTokenizer(load_tokenizer(folder)), own, device)


def save_encoder_tagger(slm: EncoderTagger, folder: Path) -> None:
    """Write the checkpoint folder (safetensors, tokenizer, labels in its config)."""
    slm.model.save_pretrained(folder)
    slm.tokenizer.tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class EncodedWindow:
    """A window of a text as tokens: the model's input, and how many of the tokens each character has."""

    tokens: list[int]
    tokens_per_char: list[int]
    token_labels: list[int]


def split_into_model_windows(slm: EncoderTagger, text: str, size: int, overlap: int) -> list[Window]:
    """Windows of at most `size` characters whose tokens fit the model; narrower where characters take many tokens."""
    counts = [len(tokens) for tokens in slm.tokenizer.encode_chars(text)]
    while True:
        parts = split_windows(len(text), size, min(overlap, size - 1))
        if size == 1 or all(sum(counts[w.start : w.end]) <= slm.max_tokens - 2 for w in parts):
            return parts
        size //= 2


def encode_window(slm: EncoderTagger, text: str, gold: Sequence[str] = ()) -> EncodedWindow:
    """Tokens of a window, with Table 1's labels where gold tags (one a character) are given."""
    tokenizer = slm.tokenizer.tokenizer
    chars = slm.tokenizer.encode_chars(text)
    index = {label: i for i, label in enumerate(slm.labels)}
    labels = [
        index[sub] for tag, tokens in zip(gold, chars, strict=bool(gold)) for sub in expand_label(tag, len(tokens))
    ]
    return EncodedWindow(
        [tokenizer.cls_token_id, *(token for tokens in chars for token in tokens), tokenizer.sep_token_id],
        [len(tokens) for tokens in chars],
        [IGNORED_LABEL, *labels, IGNORED_LABEL],
    )


def encode_training_windows(
    slm: EncoderTagger, examples: Sequence[LabelledSentence], size: int, overlap: int
) -> list[EncodedWindow]:
    """Labelled sentences as training input; sentences longer than the window become several."""
    items = []
    for example in examples:
        tags = spans_to_tags(example.spans, len(example.text))
        for window in split_into_model_windows(slm, example.text, size, overlap):
            part = slice(window.start, window.end)
            items.append(encode_window(slm, example.text[part], tags[part]))
    return items


def compute_loss(slm: EncoderTagger, items: Sequence[EncodedWindow], model: Any = None) -> torch.Tensor:  # noqa: ANN401 - a wrapped model
    """Mean cross entropy over the tokens of a batch; `model` is the wrapped one in distributed training."""
    fill = slm.tokenizer.tokenizer.pad_token_id
    tokens = pad_rows([item.tokens for item in items], fill).to(slm.device)
    mask = pad_rows([[1] * len(item.tokens) for item in items], 0).to(slm.device)
    labels = pad_rows([item.token_labels for item in items], IGNORED_LABEL).to(slm.device)
    result: torch.Tensor = (model or slm.model)(input_ids=tokens, attention_mask=mask, labels=labels).loss
    return result


@torch.inference_mode()
def score(slm: EncoderTagger, texts: Sequence[str], *, size: int, overlap: int, batch_size: int) -> list[SlmPrediction]:
    """Legal labels and entropies for each character of each text, in the order of the texts.

    size, overlap: windows of longer texts, characters. Empty texts get empty scores.
    """
    return [found for found, _ in scored(slm, texts, size=size, overlap=overlap, batch_size=batch_size)]


@torch.inference_mode()
def scored(
    slm: EncoderTagger, texts: Sequence[str], *, size: int, overlap: int, batch_size: int, vectors: bool = False
) -> list[tuple[SlmPrediction, Vector | None]]:
    """The same, each with the text's vector, as `index.SentenceEncoder` of the same checkpoint makes it, if `vectors`.

    The pass that labels a text has its hidden states, so the vector costs nothing. None for a text of several windows.
    """
    cuts = [split_into_model_windows(slm, text, size, overlap) if text else [] for text in texts]
    parts = [(i, window) for i, wins in enumerate(cuts) for window in wins]
    inputs = [encode_window(slm, texts[i][window.start : window.end]) for i, window in parts]
    done = [_NOTHING] * len(parts)
    means: list[Vector | None] = [None] * len(parts)
    for rows in inference_batches([len(item.tokens) for item in inputs], batch_size):
        log_probs, found = _outputs(slm, [inputs[i] for i in rows], vectors)
        for k, row in enumerate(rows):
            done[row], means[row] = log_probs[k], found[k] if vectors else None
    kept, own, at = list[Vector](), list[Vector | None](), 0
    for wins in cuts:
        pieces = [part[window.kept_slice] for part, window in zip(done[at : at + len(wins)], wins, strict=True)]
        kept.append(np.concatenate(pieces) if len(pieces) > 1 else pieces[0] if pieces else _NOTHING)
        own.append(means[at] if len(wins) == 1 else None)
        at += len(wins)
    return list(zip(decode_log_probs(kept, slm.labels), own, strict=True))


def _outputs(
    slm: EncoderTagger, items: Sequence[EncodedWindow], vectors: bool
) -> tuple[list[Vector], npt.NDArray[np.float32]]:
    """Log-probabilities [n_chars, n_labels] of each window, and their vectors [n_windows, hidden] if asked for."""
    tokens = pad_rows([item.tokens for item in items], slm.tokenizer.tokenizer.pad_token_id).to(slm.device)
    mask = pad_rows([[1] * len(item.tokens) for item in items], 0).to(slm.device)
    inner = pad_rows([[0, *[1] * (len(item.tokens) - 2), 0] for item in items], 0).to(
        slm.device
    )  # no padding, no specials
    out = slm.model(input_ids=tokens, attention_mask=mask, output_hidden_states=vectors)
    rows = out.logits[inner.bool()].float().log_softmax(-1).cpu().numpy()
    cuts = np.cumsum([len(item.tokens) - 2 for item in items])[:-1]
    log_probs = [
        collapse_log_probs(row, np.array(item.tokens_per_char), slm.labels)
        for row, item in zip(np.split(rows, cuts), items, strict=True)
    ]
    return log_probs, mean_unit_vectors(out.hidden_states[-1], inner) if vectors else np.zeros(0, np.float32)
