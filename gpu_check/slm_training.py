"""Train the SLM: in float32, as rayner trains it, and with weights in bfloat16."""

import math
from dataclasses import replace
from functools import partial

from gpu_check.check_setup import CheckSetup
from gpu_check.made_models import make_tagger
from gpu_check.made_texts import make_sentences
from gpu_check.memory import note_memory, reset_peak_memory
from gpu_check.records import Findings
from rayner.config.model_settings import SlmConfig
from rayner.taggers.encoder_training import encode_training_windows, make_optimizer, train_epoch

_LARGEST_FINAL_LOSS = 0.8  # as a share of the first epoch's loss


def check_slm_training(setup: CheckSetup, findings: Findings) -> None:
    """Train on sentences whose entities can be learned, and require that the loss falls."""
    for dtype in ("float32", "bfloat16"):
        _train(setup, findings, dtype)
        if dtype == "float32":
            # The estimate leaves out the activations, which grow with the sentences: about 0.7 MB a token at full size.
            note_memory(setup, findings, "slm.workers", slm=setup.size.encoder)


def _train(setup: CheckSetup, findings: Findings, dtype: str) -> None:
    size = setup.size
    config = replace(
        SlmConfig(), batch_size=size.slm_batch, epochs=size.steps, lr=1e-3 if size.name == "small" else 1e-4
    )
    reset_peak_memory(setup.device)
    tagger = make_tagger(size.encoder, setup.device, dtype, config)
    windows = encode_training_windows(tagger, make_sentences(size.sentences, seed=1), config.max_chars, config.overlap)
    optimizer, losses, seconds = make_optimizer(tagger, config), [], math.inf
    for epoch in range(config.epochs):
        epoch_seconds, loss = setup.measure_seconds(
            partial(train_epoch, tagger, tagger.model, optimizer, windows, config, epoch=epoch, seed=1)
        )
        losses.append(loss)
        seconds = min(seconds, epoch_seconds)
    findings.note(f"first_loss_{dtype}", losses[0])
    findings.note(f"last_loss_{dtype}", losses[-1])
    findings.note(f"tokens_per_second_{dtype}", sum(len(window.tokens) for window in windows) / seconds)
    findings.note("parameters", tagger.n_parameters)
    findings.require_loss_falls(losses, _LARGEST_FINAL_LOSS, "epoch", f"{dtype}: ")
