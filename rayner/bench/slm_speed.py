"""Compare the speed of the small model, in float32 and bfloat16, with transformers' pipeline."""

import statistics
from dataclasses import replace
from functools import partial

from rayner.bench import peers
from rayner.bench.setup import BenchmarkSetup
from rayner.bench.timing import (
    BenchmarkRow,
    build_speedup_row,
    find_fastest_batch_size,
    measure_median_seconds_in_turns,
)
from rayner.modeling.devices import resolve_device
from rayner.taggers.encoder import load_encoder_tagger
from rayner.text.predictions import SlmPrediction
from rayner.text.segmentation import bounds_without_whitespace

DTYPES = ("float32", "bfloat16")
PIPELINE = "transformers.pipeline"
REPEATS = 4  # the sentences are repeated, because a run over them once would be too short to time


def measure_slm(setup: BenchmarkSetup) -> list[BenchmarkRow]:
    """Time the encoder in characters per second, and compare its predictions in float32 and bfloat16."""
    config = setup.config
    device, folder = resolve_device(config.device, config.score.gpus), setup.run.local_path("models", "slm")
    texts = [
        segment.text[slice(*bounds_without_whitespace(segment.text))]
        for segment in setup.unit.segments
        if segment.text.strip()
    ] * REPEATS
    classify = partial(peers.load_token_classifier(folder, device), texts)
    taggers = {dtype: load_encoder_tagger(folder, device, config=config.slm, dtype=dtype) for dtype in DTYPES}

    def predict(dtype: str, batch_size: int) -> list[SlmPrediction]:
        return replace(taggers[dtype], batch_size=batch_size).predict(texts)

    peer_size = find_fastest_batch_size(classify)
    sizes = {dtype: find_fastest_batch_size(partial(predict, dtype)) for dtype in DTYPES}
    works = {dtype: partial(predict, dtype, sizes[dtype]) for dtype in DTYPES}
    seconds = measure_median_seconds_in_turns(config.bench.rounds, {PIPELINE: partial(classify, peer_size), **works})
    n_chars = sum(map(len, texts))
    rows = []
    for dtype in DTYPES:
        rates = f"{n_chars / seconds[dtype]:,.0f} to {n_chars / seconds[PIPELINE]:,.0f}"
        remark = f"{rates}; batches of {sizes[dtype]} and {peer_size}"
        figure = f"SLM characters a second, {dtype}"
        rows.append(build_speedup_row(figure, PIPELINE, seconds[PIPELINE], seconds[dtype], "3", remark))
    pairs = list(zip(*(works[dtype]() for dtype in DTYPES), strict=True))
    n_same = sum(exact.spans == rounded.spans for exact, rounded in pairs)
    drift = statistics.mean(float(abs(exact.entropy - rounded.entropy).mean()) for exact, rounded in pairs)
    remark, count = f"entropies differ by {drift:.1e} nats on average", f"{n_same} of {len(texts)}"
    same_row = BenchmarkRow("SLM sentences alike in bfloat16 and float32", "each other", count, "none", remark)
    return [*rows, same_row]
