"""What the LLM stage costs: tokens, floating-point operations and bytes a sentence, and from these seconds on a device.

A model of averages, checked against measurements by `jobs/bench.py` and used for predictions in docs/performance.md.
It does not cover retrieval, the small model, or time that a device waits for its host.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Mean tokens of what stands in a prompt and an answer.

    opening: what begins every prompt; example: one of k; question: the sentence with what surrounds it;
    answer: a whole answer; read: as much of an answer as the gate lets matter; further: a further pass of verification.
    """

    opening: float
    example: float
    question: float
    answer: float
    read: float
    further: float


@dataclass(frozen=True)
class Mode:
    """How the stage runs: examples k, sentences that share them, share of sentences asked about, passes of each."""

    k: int
    group: int
    asked: float
    passes: float


@dataclass(frozen=True)
class Shape:
    """A causal model: parameters of its body (without embedding and output layer), and the rest of its shape."""

    body: float
    layers: int
    hidden: int
    kv: int
    vocabulary: int


@dataclass(frozen=True)
class Device:
    """An accelerator: peak operations a second of dense matrix work at 16 bits, bytes a second, the share reached."""

    name: str
    flops: float
    bandwidth: float
    share: float


QWEN_14B = Shape(body=13.1e9, layers=48, hidden=5120, kv=1024, vocabulary=152_064)
A6000 = Device("RTX A6000", 154.8e12, 768e9, 0.5)
H100 = Device("H100 SXM", 989e12, 3350e9, 0.5)


def published_tokens(text: Text, k: int) -> float:
    """Tokens a sentence of the published way: a prompt of its own, then the answer token by token."""
    return text.opening + k * text.example + text.question + text.answer - 1


def stage_tokens(text: Text, mode: Mode) -> float:
    """Tokens a corpus sentence of our stage, padding left out.

    A group's examples are read if one of its sentences at least is asked about; the opening is read once for all.
    """
    touched = (1 - (1 - mode.asked) ** mode.group) / mode.group
    own = text.question + text.read - 1 + (mode.passes - 1) * text.further
    return touched * mode.k * text.example + mode.asked * own


def flops_per_token(shape: Shape, context: float, logits: float) -> float:
    """Operations a token: the body's matrices, attention over `context` tokens, and `logits` computed a token."""
    return 2 * shape.body + 4 * shape.layers * shape.hidden * context + 2 * shape.hidden * logits


def reading_seconds(shape: Shape, device: Device, tokens: float, context: float, logits: float) -> float:
    """Seconds to read tokens in passes of many tokens each, where arithmetic is what takes the time."""
    return tokens * flops_per_token(shape, context, logits) / (device.flops * device.share)


def writing_seconds(shape: Shape, device: Device, tokens: float, context: float, batch: int) -> float:
    """Seconds to write tokens one by one in batches: each step reads all weights, and each text's keys and values."""
    weights = 2 * (shape.body + shape.vocabulary * shape.hidden)
    cache = 2 * 2 * shape.layers * shape.kv * context
    arithmetic = batch * flops_per_token(shape, context, shape.vocabulary) / (device.flops * device.share)
    return tokens / batch * max((weights + batch * cache) / device.bandwidth, arithmetic)
