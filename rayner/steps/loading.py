"""What a run has trained, loaded: the tagger, the LLM, the task it was given, and what finds its examples."""

import json
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from rayner.config.plugins import is_outside
from rayner.config.settings import Config
from rayner.evaluation.metrics import count, micro
from rayner.llm import model as llms
from rayner.llm.index import Embedder, Ngrams, load_encoder, load_index
from rayner.llm.prompts import instruction
from rayner.llm.retrieval import Retriever
from rayner.modeling.tokenizer import Speller, load_tokenizer
from rayner.modeling.training import device_of
from rayner.runs.run_folder import Run
from rayner.runs.storage import fetched
from rayner.steps import data
from rayner.taggers import crf as crfs
from rayner.taggers import custom_tagger
from rayner.taggers import encoder as slms
from rayner.text.predictions import SlmScore

Answer = tuple[SlmScore, npt.NDArray[np.float32] | None]  # of the small model, and the text's vector if asked for


def tagger(config: Config, run: Run, *, vectors: bool = False) -> Callable[[Sequence[str]], list[Answer]]:
    """The trained small model of a run, as a function of texts. vectors: see `slm.scored`; others have none."""
    folder, settings = run.local("models", "slm"), config.slm
    if settings.family == "crf":
        crf = crfs.load(folder)
        return lambda texts: [(score, None) for score in crfs.score(crf, texts)]
    if is_outside(settings.family):
        own = custom_tagger.load(settings.family, folder)
        return lambda texts: [(score, None) for score in custom_tagger.score(own, texts)]
    model = slms.load(folder, device_of(config.device), dtype=settings.dtype)
    return partial(
        slms.scored,
        model,
        size=settings.max_chars,
        overlap=settings.overlap,
        batch_size=config.score.slm.batch_size,
        vectors=vectors,
    )


def held_out_f1(run: Run, score: Callable[[Sequence[str]], Sequence[SlmScore]]) -> float:
    """Strict micro F1, on the held-out sentences of a run, of a tagger as a function of texts."""
    dev = data.part(run, "dev")
    answers = score([example.text for example in dev])
    return micro(count([e.spans for e in dev], [answer.spans for answer in answers], run.facts("data")["types"])).f1


def knows(config: Config, run: Run) -> Callable[[str], bool]:
    """Whether the small model knows a character: has a token for it, or met it in training."""
    folder = run.local("models", "slm")
    if config.slm.family == "crf":
        return crfs.load(folder).characters.__contains__
    if is_outside(config.slm.family):
        return custom_tagger.about(folder).characters.__contains__
    return Speller(load_tokenizer(folder)).knows


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
    encoder = embedder(config, run)
    index = load_index(run.local("index"), run.facts("build_index")["digest"])
    return Retriever("similar", config.index.k, train, encoder, index)


def embedder(config: Config, run: Run) -> Embedder:
    """What turns a sentence into a vector."""
    if config.index.encoder == "ngrams":
        return Ngrams()
    own = config.index.encoder == "slm"
    folder = str(run.local("models", "slm")) if own else fetched(config.index.encoder)
    return load_encoder(folder, device_of(config.device))
