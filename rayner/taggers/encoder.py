"""The encoder tagger: a token classifier of the BERT family that labels each character (method, sections 1 and 2).

A text longer than a window is split into windows, and their predictions are joined; nothing is truncated. Training is
in `encoder_training.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification

from rayner.config.model_settings import SlmConfig
from rayner.errors import ConfigError
from rayner.modeling.batching import inference_batches
from rayner.modeling.checkpoint import checkpoint_error, reject_pickles_and_build_kwargs
from rayner.modeling.devices import TORCH_DTYPES
from rayner.modeling.finite_weights import require_finite_weights
from rayner.modeling.tensors import mean_unit_vectors, pad_rows
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.runs.heartbeat import beat
from rayner.text.predictions import SlmPrediction, decode_log_probs
from rayner.text.segmentation import Window, split_windows
from rayner.text.subtoken_labels import collapse_log_probs, expand_label

Floats = npt.NDArray[np.float32]
_NO_ROWS = np.zeros(0, dtype=np.float32)
IGNORED_LABEL = -100  # the label of special tokens and padding, which torch's cross entropy skips


@dataclass(frozen=True)
class EncodedWindow:
    """A window of a text as the model's input.

    Attributes:
        tokens: Token ids, including the two special tokens.
        tokens_per_char: The number of tokens of each character, shape [n_chars].
        token_labels: The label number of each token, shape [n_tokens]; `IGNORED_LABEL` for special tokens. Without gold
            tags it has only the entries of the two special tokens.

    """

    tokens: list[int]
    tokens_per_char: list[int]
    token_labels: list[int]


@dataclass
class EncoderTagger:
    """A token classifier with its tokenizer and labels; implements `Tagger`.

    Attributes:
        config: The settings `slm`, which give the size of windows.
        batch_size: The largest number of windows in a forward pass.
        sentence_vectors: Whether each prediction also carries a vector of the sentence.

    """

    model: Any
    tokenizer: CharTokenizer
    labels: tuple[str, ...]
    device: torch.device
    config: SlmConfig = field(default_factory=SlmConfig)
    batch_size: int = 64
    sentence_vectors: bool = False

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens that the model takes, including the two special tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", 512))

    @property
    def n_parameters(self) -> int:
        """The number of the model's parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def with_smaller_batches(self, divisor: int) -> "EncoderTagger":
        """Return the same tagger with its batch size divided by `divisor`, and at least 1."""
        return replace(self, batch_size=max(1, self.batch_size // divisor))

    @torch.inference_mode()
    def predict(self, texts: Sequence[str]) -> list[SlmPrediction]:
        """Return the entities and entropies of each text, in the order of the texts.

        If `sentence_vectors` is set, the prediction for a text that fits one window also carries its sentence vector.
        The vector equals the one that a `SentenceEncoder` of the same checkpoint computes. It needs no further forward
        pass, because the pass that labels the text already computes the hidden states.
        """
        windows_of_texts = [
            split_into_model_windows(self, text, self.config.max_chars, self.config.overlap) if text else []
            for text in texts
        ]
        encoded = [
            encode_window(self, text[window.start : window.end])
            for text, windows in zip(texts, windows_of_texts, strict=True)
            for window in windows
        ]
        window_log_probs = [_NO_ROWS] * len(encoded)
        window_vectors: list[Floats | None] = [None] * len(encoded)
        for batch in inference_batches([len(window.tokens) for window in encoded], self.batch_size):
            beat()
            log_probs, vectors = self._compute_log_probs_and_vectors([encoded[i] for i in batch])
            for k, i in enumerate(batch):
                window_log_probs[i] = log_probs[k]
                window_vectors[i] = None if vectors is None else vectors[k]
        text_log_probs, text_vectors, first = list[Floats](), list[Floats | None](), 0
        for windows in windows_of_texts:
            parts = window_log_probs[first : first + len(windows)]
            kept = [part[window.kept_slice] for part, window in zip(parts, windows, strict=True)]
            text_log_probs.append(np.concatenate(kept) if len(kept) > 1 else kept[0] if kept else _NO_ROWS)
            text_vectors.append(window_vectors[first] if len(windows) == 1 else None)
            first += len(windows)
        predictions = decode_log_probs(text_log_probs, self.labels)
        if not self.sentence_vectors:
            return predictions
        return [
            replace(prediction, sentence_vector=vector)
            for prediction, vector in zip(predictions, text_vectors, strict=True)
        ]

    def _compute_log_probs_and_vectors(self, windows: Sequence[EncodedWindow]) -> tuple[list[Floats], Floats | None]:
        """Run the model on a batch of windows.

        Returns:
            The label log-probabilities of each window, shape [n_chars, n_labels], natural log.
            The sentence vector of each window, shape [n_windows, hidden], L2 norm 1; None unless `sentence_vectors` is
            set.

        """
        padding_token = self.tokenizer.tokenizer.pad_token_id
        tokens = pad_rows([window.tokens for window in windows], padding_token).to(self.device)
        mask = pad_rows([[1] * len(window.tokens) for window in windows], 0).to(self.device)
        # 1 for the tokens of characters, 0 for padding and special tokens.
        char_mask = pad_rows([[0, *[1] * (len(window.tokens) - 2), 0] for window in windows], 0).to(self.device)
        out = self.model(input_ids=tokens, attention_mask=mask, output_hidden_states=self.sentence_vectors)
        token_log_probs = out.logits[char_mask.bool()].float().log_softmax(-1).cpu().numpy()
        ends = np.cumsum([len(window.tokens) - 2 for window in windows])[:-1]
        log_probs = [
            collapse_log_probs(rows, np.array(window.tokens_per_char), self.labels)
            for rows, window in zip(np.split(token_log_probs, ends), windows, strict=True)
        ]
        return log_probs, mean_unit_vectors(out.hidden_states[-1], char_mask) if self.sentence_vectors else None


def load_encoder_tagger(
    folder: str | Path,
    device: torch.device,
    new_head_labels: Sequence[str] | None = None,
    *,
    config: SlmConfig | None = None,
    dtype: str = "float32",
    batch_size: int | None = None,
    sentence_vectors: bool = False,
) -> EncoderTagger:
    """Load a checkpoint as a tagger.

    Args:
        folder: The checkpoint folder or hub name.
        device: The device to load the model to.
        new_head_labels: Labels of a new, untrained classification head. None keeps the head of the checkpoint, which
            must have one.
        config: The settings `slm`, which give the size of windows.
        dtype: `float32` or `bfloat16`.
        batch_size: The largest number of windows in a forward pass. None takes the batch size of training.
        sentence_vectors: Whether each prediction also carries a vector of the sentence.

    Raises:
        ConfigError: The checkpoint cannot be loaded or has no BMES labels.
        NotFiniteError: A weight is NaN or infinite.

    """
    config = config or SlmConfig()
    head_options = {} if new_head_labels is None else _fresh_head_options(new_head_labels)
    try:
        model = AutoModelForTokenClassification.from_pretrained(
            str(folder), dtype=TORCH_DTYPES[dtype], **reject_pickles_and_build_kwargs(folder), **head_options
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise checkpoint_error(folder, "a checkpoint of an encoder", error) from error
    model_labels = tuple(model.config.id2label[i] for i in range(model.config.num_labels))
    if "O" not in model_labels:
        raise ConfigError(f"{folder}: expected a trained tagger with BMES labels, found labels {model_labels[:4]}")
    model = model.to(device).eval()
    require_finite_weights(model, folder)
    return EncoderTagger(
        model,
        CharTokenizer(load_tokenizer(folder)),
        model_labels,
        device,
        config,
        batch_size or config.batch_size,
        sentence_vectors,
    )


def _fresh_head_options(labels: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that make transformers give a checkpoint a new head for these labels."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "ignore_mismatched_sizes": True,
    }


def save_encoder_tagger(tagger: EncoderTagger, folder: Path) -> None:
    """Write the checkpoint folder: weights in safetensors, tokenizer, and the labels in `config.json`."""
    tagger.model.save_pretrained(folder)
    tagger.tokenizer.tokenizer.save_pretrained(folder)


def split_into_model_windows(tagger: EncoderTagger, text: str, max_chars: int, overlap: int) -> list[Window]:
    """Split a text into windows of at most `max_chars` characters whose tokens fit the model.

    If the tokens of a window do not fit, `max_chars` is halved for the whole text until all windows fit.
    """
    tokens_per_char = [len(tokens) for tokens in tagger.tokenizer.encode_chars(text)]
    while True:
        windows = split_windows(len(text), max_chars, min(overlap, max_chars - 1))
        if max_chars == 1 or all(sum(tokens_per_char[w.start : w.end]) <= tagger.max_tokens - 2 for w in windows):
            return windows
        max_chars //= 2


def encode_window(tagger: EncoderTagger, text: str, gold_tags: Sequence[str] = ()) -> EncodedWindow:
    """Encode the text of a window as tokens, and gold tags as labels of tokens (Table 1 of the paper).

    Args:
        tagger: The tagger.
        text: The text of the window.
        gold_tags: The gold tag of each character, shape [n_chars], or empty.

    """
    tokenizer = tagger.tokenizer.tokenizer
    char_tokens = tagger.tokenizer.encode_chars(text)
    label_numbers = {label: i for i, label in enumerate(tagger.labels)}
    token_labels = [
        label_numbers[label]
        for tag, tokens in zip(gold_tags, char_tokens, strict=bool(gold_tags))
        for label in expand_label(tag, len(tokens))
    ]
    return EncodedWindow(
        [tokenizer.cls_token_id, *(token for tokens in char_tokens for token in tokens), tokenizer.sep_token_id],
        [len(tokens) for tokens in char_tokens],
        [IGNORED_LABEL, *token_labels, IGNORED_LABEL],
    )


@dataclass(frozen=True)
class EncoderFamily:
    """Encoders with the settings `slm`; implements `TaggerFamily`. Ray Train trains them epoch by epoch."""

    config: SlmConfig
    display_name: str = "encoder"
    one_process_trainer: None = None

    def digest_extra_training_files(self) -> dict[str, str]:
        """Return the digest of the base model."""
        from rayner.runs.run_folder import model_digest  # needs packages that a tagger without a run folder does not

        return {"model": model_digest(self.config.model)}

    def load(
        self, folder: Path, device: torch.device | None, *, batch_size: int, sentence_vectors: bool = False
    ) -> EncoderTagger:
        """Load the trained tagger (`load_encoder_tagger`, which names the errors)."""
        return load_encoder_tagger(
            folder,
            device or torch.device("cpu"),
            config=self.config,
            dtype=self.config.dtype,
            batch_size=batch_size,
            sentence_vectors=sentence_vectors,
        )

    def load_known_characters(self, folder: Path) -> CharTokenizer:
        """Return the tokenizer; `char in tokenizer` is true for the characters that it has tokens for."""
        return CharTokenizer(load_tokenizer(folder))
