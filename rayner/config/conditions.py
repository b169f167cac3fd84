"""Conditions on the whole configuration under which a step reads a setting (see `StepIf`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayner.config.settings import Config


def slm_is_encoder(config: "Config") -> bool:
    """The small model is an encoder."""
    return config.slm.family == "encoder"


def slm_is_from_scratch(config: "Config") -> bool:
    """The small model is an encoder made from scratch."""
    return slm_is_encoder(config) and config.slm.model == "scratch"


def slm_is_crf(config: "Config") -> bool:
    """The small model is a CRF."""
    return config.slm.family == "crf"


def characters_are_clustered(config: "Config") -> bool:
    """The CRF sees clusters of characters, learned from unlabelled text."""
    return slm_is_crf(config) and bool(config.slm.crf.unlabelled)


def slm_training_is_random(config: "Config") -> bool:
    """Training of the small model draws random numbers: a CRF draws some for the clusters only."""
    return not slm_is_crf(config) or characters_are_clustered(config)


def llm_is_from_scratch(config: "Config") -> bool:
    """The LLM is made from scratch."""
    return config.llm.model == "scratch"


def llm_is_trained(config: "Config") -> bool:
    """The LLM is trained at all."""
    return config.llm.full_epochs > 0 or config.llm.epochs > 0


def llm_is_made(config: "Config") -> bool:
    """The LLM is not just a pretrained one: making it draws random numbers."""
    return llm_is_from_scratch(config) or llm_is_trained(config)


def llm_is_fully_trained(config: "Config") -> bool:
    """All parameters of the LLM are trained first."""
    return config.llm.full_epochs > 0


def llm_has_adapter(config: "Config") -> bool:
    """A LoRA adapter is trained."""
    return config.llm.epochs > 0


def prompts_show_examples(config: "Config") -> bool:
    """Prompts show examples."""
    return config.llm.examples != "none"


def examples_are_retrieved(config: "Config") -> bool:
    """Prompts show similar examples, found in the index."""
    return config.llm.examples == "similar"


def llm_learns_from_examples(config: "Config") -> bool:
    """The LLM is trained on prompts that show examples."""
    return llm_is_trained(config) and prompts_show_examples(config)


def llm_learns_from_retrieved_examples(config: "Config") -> bool:
    """The LLM is trained on prompts that show examples found in the index."""
    return llm_is_trained(config) and examples_are_retrieved(config)


def llm_learns_from_pseudo_labels(config: "Config") -> bool:
    """The LLM first learns from text that the small model has tagged."""
    return bool(config.llm.pseudo_labels.text)


def encoder_makes_pseudo_labels(config: "Config") -> bool:
    """That text is tagged by an encoder."""
    return llm_learns_from_pseudo_labels(config) and slm_is_encoder(config)


def instruction_is_built_in(config: "Config") -> bool:
    """The prompt has the built-in instruction, which names the types."""
    return config.llm.instruction is None
