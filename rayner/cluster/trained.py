"""What a run has trained, loaded: the LLM, the task it was given, and what finds its examples."""

import json
from collections.abc import Sequence

from rayner.cluster import data
from rayner.config import Config
from rayner.models import llm as llms
from rayner.models.index import load_encoder, load_index
from rayner.models.retrieval import Retriever
from rayner.models.training import device_of
from rayner.ner.prompt import instruction
from rayner.run import Run
from rayner.storage import fetched


def task(config: Config, types: Sequence[str]) -> str:
    """The instruction, in words."""
    if config.llm.instruction is not None:
        return config.llm.instruction
    return instruction({kind: config.types.get(kind, "") for kind in types})


def load_llm(config: Config, run: Run) -> llms.Llm:
    """The fine-tuned LLM of a run, on the configured device."""
    folder = run.local("models", "llm")
    saved = json.loads((folder / "llm.json").read_text(encoding="utf-8"))
    return llms.load(
        folder / "base" if saved["base"] == "base" else fetched(saved["base"]),
        adapter=folder / saved["adapter"] if saved["adapter"] else None,
        task=saved["task"],
        types=saved["types"],
        chat=config.llm.chat,
        device=device_of(config.device),
        dtype=config.dtype,
    )


def retriever(config: Config, run: Run) -> Retriever:
    """What finds the examples of a prompt."""
    train = data.part(run, "train")
    if config.llm.examples != "similar":
        return Retriever(config.llm.examples, config.index.k, train)
    encoder = load_encoder(encoder_folder(config, run), device_of(config.device))
    index = load_index(run.local("index"), run.facts("build_index")["digest"])
    return Retriever("similar", config.index.k, train, encoder, index)


def encoder_folder(config: Config, run: Run) -> str:
    """The sentence encoder's checkpoint."""
    return str(run.local("models", "slm")) if config.index.encoder == "slm" else fetched(config.index.encoder)
