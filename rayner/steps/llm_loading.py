"""Load the LLM of a run, in the engine that asks it, and the retriever that finds examples for prompts."""

from collections.abc import Sequence
from pathlib import Path

from rayner.config.conditions import llm_runs_in_vllm
from rayner.config.settings import Config
from rayner.decoding import engine
from rayner.decoding.engine import AnswerEngine
from rayner.errors import ConfigError
from rayner.llm import model as llms
from rayner.llm.description import BASE_FOLDER, DESCRIPTION_FILE, LlmDescription, read_llm_description
from rayner.llm.index import load_sentence_index
from rayner.llm.prompt_encoder import load_prompt_encoder
from rayner.llm.prompts import build_instruction
from rayner.llm.retrieval import ExampleRetriever
from rayner.llm.sentence_encoders import AnySentenceEncoder, NgramEncoder, load_sentence_encoder
from rayner.modeling.devices import resolve_device
from rayner.modeling.vector_search import resolve_faiss_device
from rayner.runs.run_folder import Run
from rayner.runs.storage import StoragePath, local_model_name
from rayner.steps import data
from rayner.steps.faiss_packages import choose_index_device


def choose_instruction(config: Config, types: Sequence[str]) -> str:
    """Return the instruction with which every prompt begins.

    It is the instruction in the settings or, if there is none, the built-in instruction, which lists the types.
    """
    if config.llm.instruction is not None:
        return config.llm.instruction
    return build_instruction({type_: config.llm.type_glosses.get(type_, "") for type_ in types})


def load_llm(config: Config, run: Run) -> llms.Llm:
    """Load the trained LLM of a run in a process that has the resources `score`."""
    folder = run.local_path("models", "llm")
    description = read_llm_description(folder)
    require_same_hint_as_in_training(config, folder, description)
    base, adapter = _find_base_and_adapter(folder, description)
    return llms.load_llm_checkpoint(
        base,
        adapter=adapter,
        instruction=description.instruction,
        types=description.types,
        chat=config.llm.chat,
        hint=config.llm.hint,
        device=resolve_device(config.device, config.score.gpus),
        dtype=config.llm.dtype,
        load_in=config.llm.load_in,
    )


def check_hint_of_trained_llm(config: Config, run: Run) -> None:
    """Raise ConfigError if the run has an LLM that was trained with another hint than `llm.hint`."""
    folder = run.path("models", "llm")
    if run.has_step("train_llm") and (folder / DESCRIPTION_FILE).exists():
        require_same_hint_as_in_training(config, folder, read_llm_description(folder))


def require_same_hint_as_in_training(config: Config, folder: StoragePath, description: LlmDescription) -> None:
    """Raise ConfigError if `llm.hint` is not the hint in the prompts that an LLM was trained on.

    folder: the folder of the LLM, for the message.
    """
    hint = description.hint or "none"
    if hint != config.llm.hint:
        raise ConfigError(
            f"llm.hint: expected {hint}, the hint with which the LLM in {folder} was trained, found {config.llm.hint}: "
            f"set llm.hint={hint}, or train an LLM in another run folder"
        )


def _find_base_and_adapter(folder: Path, description: LlmDescription) -> tuple[str | Path, Path | None]:
    """Return where the base model and the LoRA adapter lie; None for no adapter."""
    base = folder / BASE_FOLDER if description.has_own_base else local_model_name(description.base)
    return base, folder / description.adapter if description.adapter else None


def load_answer_engine(config: Config, run: Run) -> AnswerEngine:
    """Load the trained LLM of a run into the engine that `llm.engine` and `llm.decoding` name.

    Only here are these two settings looked up.
    """
    if llm_runs_in_vllm(config):
        return _load_vllm_engine(config, run)
    return engine.make_engine(
        load_llm(config, run),
        decoding=config.llm.decoding,
        use_drafts=config.score.draft,
        softmax_over=config.llm.softmax_over,
        batch_size=config.score.llm.batch_size,
        batch_tokens=config.score.llm.batch_tokens,
    )


def _load_vllm_engine(config: Config, run: Run) -> AnswerEngine:
    from rayner.decoding.vllm_engine import VllmEngine  # vLLM has an environment of its own

    folder = run.local_path("models", "llm")
    description = read_llm_description(folder)
    require_same_hint_as_in_training(config, folder, description)
    base, adapter = _find_base_and_adapter(folder, description)
    encoder = load_prompt_encoder(
        base,
        instruction=description.instruction,
        types=description.types,
        chat=config.llm.chat,
        hint=config.llm.hint,
    )
    return VllmEngine(
        encoder,
        base,
        adapter,
        config=config.llm.vllm,
        dtype=config.llm.dtype,
        device=resolve_device(config.device, config.score.gpus),
        softmax_over=config.llm.softmax_over,
        batch_size=config.score.llm.batch_size,
    )


def load_retriever(config: Config, run: Run) -> ExampleRetriever:
    """Load the retriever that chooses the examples of a prompt. Sentences longer than `llm.max_chars` are no examples.

    Only for similar examples does it load the index and the sentence encoder.
    """
    train, encoder, index = data.read_part(run, "train"), None, None
    if config.llm.examples == "similar":
        encoder = load_index_encoder(config, run)
        device = resolve_faiss_device(choose_index_device(config), config.score.gpus)
        index = load_sentence_index(run.local_path("index"), run.result_digest("build_index"), device)
    return ExampleRetriever(config.llm.examples, config.index.k, train, encoder, index, max_chars=config.llm.max_chars)


def load_index_encoder(config: Config, run: Run) -> AnySentenceEncoder:
    """Load the sentence encoder with which the index is built and searched."""
    if config.index.encoder == "ngrams":
        return NgramEncoder()
    is_slm = config.index.encoder == "slm"
    folder = str(run.local_path("models", "slm")) if is_slm else local_model_name(config.index.encoder)
    return load_sentence_encoder(folder, resolve_device(config.device, config.score.gpus))
