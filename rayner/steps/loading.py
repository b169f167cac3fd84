"""What a run has trained, loaded: the tagger, the LLM, the task it was given, and what finds its examples."""

import json
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from rayner.config.plugins import is_plugin_name
from rayner.config.settings import Config
from rayner.evaluation.metrics import count_entities, micro_score
from rayner.llm import model as llms
from rayner.llm.index import AnySentenceEncoder, NgramEncoder, load_sentence_encoder, load_sentence_index
from rayner.llm.prompts import build_instruction
from rayner.llm.retrieval import ExampleRetriever
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.modeling.training import resolve_device
from rayner.runs.run_folder import Run
from rayner.runs.storage import local_model_name
from rayner.steps import data
from rayner.taggers import crf as crfs
from rayner.taggers import custom_tagger
from rayner.taggers import encoder as slms
from rayner.text.predictions import SlmPrediction

Answer = tuple[SlmPrediction, npt.NDArray[np.float32] | None]  # of the small model, and the text's vector if asked for


def load_tagger(config: Config, run: Run, *, vectors: bool = False) -> Callable[[Sequence[str]], list[Answer]]:
    """The trained small model of a run, as a function of texts. vectors: see `slm.scored`; others have none."""
    folder, settings = run.local_path("models", "slm"), config.slm
    if settings.family == "crf":
        crf = crfs.load(folder)
        return lambda texts: [(score, None) for score in crfs.score(crf, texts)]
    if is_plugin_name(settings.family):
        own = custom_tagger.load(settings.family, folder)
        return lambda texts: [(score, None) for score in custom_tagger.score(own, texts)]
    model = slms.load_encoder_tagger(folder, resolve_device(config.device), dtype=settings.dtype)
    return partial(
        slms.scored,
        model,
        size=settings.max_chars,
        overlap=settings.overlap,
        batch_size=config.score.slm.batch_size,
        vectors=vectors,
    )


def held_out_f1(run: Run, score: Callable[[Sequence[str]], Sequence[SlmPrediction]]) -> float:
    """Strict micro F1, on the held-out sentences of a run, of a tagger as a function of texts."""
    dev = data.read_part(run, "dev")
    answers = score([example.text for example in dev])
    return micro_score(
        count_entities([e.spans for e in dev], [answer.spans for answer in answers], run.step_result("data")["types"])
    ).f1


def knows(config: Config, run: Run) -> Callable[[str], bool]:
    """Whether the small model knows a character: has a token for it, or met it in training."""
    folder = run.local_path("models", "slm")
    if config.slm.family == "crf":
        return crfs.load(folder).characters.__contains__
    if is_plugin_name(config.slm.family):
        return custom_tagger.about(folder).characters.__contains__
    return CharTokenizer(load_tokenizer(folder)).has_char


def task_instruction(config: Config, types: Sequence[str]) -> str:
    """The instruction, in words."""
    if config.llm.instruction is not None:
        return config.llm.instruction
    return build_instruction({kind: config.types.get(kind, "") for kind in types})


def load_llm(config: Config, run: Run) -> llms.Llm:
    """The fine-tuned LLM of a run, on the configured device."""
    folder = run.local_path("models", "llm")
    saved = json.loads((folder / "llm.json").read_text(encoding="utf-8"))
    return llms.load_llm_checkpoint(
        folder / "base" if saved["base"] == "base" else local_model_name(saved["base"]),
        adapter=folder / saved["adapter"] if saved["adapter"] else None,
        instruction=saved["task"],
        types=saved["types"],
        chat=config.llm.chat,
        device=resolve_device(config.device),
        dtype=config.dtype,
    )


def load_retriever(config: Config, run: Run) -> ExampleRetriever:
    """What finds the examples of a prompt."""
    train = data.read_part(run, "train")
    if config.llm.examples != "similar":
        return ExampleRetriever(config.llm.examples, config.index.k, train)
    encoder = load_embedder(config, run)
    index = load_sentence_index(run.local_path("index"), run.step_result("build_index")["digest"])
    return ExampleRetriever("similar", config.index.k, train, encoder, index)


def load_embedder(config: Config, run: Run) -> AnySentenceEncoder:
    """What turns a sentence into a vector."""
    if config.index.encoder == "ngrams":
        return NgramEncoder()
    own = config.index.encoder == "slm"
    folder = str(run.local_path("models", "slm")) if own else local_model_name(config.index.encoder)
    return load_sentence_encoder(folder, resolve_device(config.device))
