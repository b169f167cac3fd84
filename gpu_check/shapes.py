"""The shapes of the models and the amounts of work, for the two sizes of the checks.

`full` has the shapes of the models that `jobs/conf/paper.yaml` names. `small` has the same structure, such as shared
key-value heads and a tied or separate output layer, at a size that a CPU runs in seconds.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DecoderShape:
    """The shape of an LLM of the family Qwen2."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    tied: bool


@dataclass(frozen=True)
class EncoderShape:
    """The shape of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int


@dataclass(frozen=True)
class Size:
    """What the checks make and run.

    Attributes:
        name: `small` or `full`.
        encoder: The shape of the SLM.
        decoders: The shapes of the LLMs by the names that the checks use.
        sentences: Training sentences of the SLM.
        slm_batch: Sentences in a training step of the SLM.
        sft_examples: Training examples of the LLM in a step.
        steps: Training steps.
        requests: Texts to score.
        llm_batch: Texts that are scored at a time.
        batch_tokens: Tokens of the LLM in memory while it scores (`score.llm.batch_tokens`).
        micro_batch_tokens: Tokens in a forward pass of the LLM's training (`llm.micro_batch_tokens`).
        vectors: Vectors in the index.

    """

    name: str
    encoder: EncoderShape
    decoders: dict[str, DecoderShape]
    sentences: int
    slm_batch: int
    sft_examples: int
    steps: int
    requests: int
    llm_batch: int
    batch_tokens: int
    micro_batch_tokens: int
    vectors: int


SIZES = {
    "small": Size(
        name="small",
        encoder=EncoderShape(hidden=64, layers=2, heads=4, intermediate=128, vocabulary=1200),
        decoders={
            "0.5b": DecoderShape(64, 2, 4, 2, 128, vocabulary=3000, tied=True),
            "14b": DecoderShape(96, 3, 6, 2, 192, vocabulary=3100, tied=False),
        },
        sentences=64, slm_batch=16, sft_examples=6, steps=4, requests=12, llm_batch=6,
        batch_tokens=8000, micro_batch_tokens=1000, vectors=2000,
    ),
    "full": Size(
        name="full",
        encoder=EncoderShape(hidden=768, layers=12, heads=12, intermediate=3072, vocabulary=29791),
        decoders={
            "0.5b": DecoderShape(896, 24, 14, 2, 4864, vocabulary=151_936, tied=True),
            "14b": DecoderShape(5120, 48, 40, 8, 13_824, vocabulary=152_064, tied=False),
        },
        sentences=512, slm_batch=64, sft_examples=16, steps=6, requests=256, llm_batch=32,
        batch_tokens=32_768, micro_batch_tokens=4096, vectors=20_000,
    ),
}  # fmt: skip
