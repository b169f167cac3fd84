"""Conditions on the whole configuration.

A step may read a setting only if such a condition holds (see `StepIf`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rayner.config.settings import Config


def corpus_is_not_utf8(config: "Config") -> bool:
    """Return whether the texts of the corpus are in another encoding than UTF-8."""
    return config.corpus.encoding != "utf-8"


def corpus_is_converted(config: "Config") -> bool:
    """Return whether the models read a copy of the corpus in the script of the labelled text."""
    return config.corpus.match_script


def slm_is_encoder(config: "Config") -> bool:
    """Return whether the small model is an encoder."""
    return config.slm.family == "encoder"


def slm_is_from_scratch(config: "Config") -> bool:
    """Return whether the small model is an encoder made from scratch."""
    return slm_is_encoder(config) and config.slm.model == "scratch"


def slm_is_crf(config: "Config") -> bool:
    """Return whether the small model is a CRF."""
    return config.slm.family == "crf"


def characters_are_clustered(config: "Config") -> bool:
    """Return whether the CRF uses character clusters, which are learned from unlabelled text."""
    return slm_is_crf(config) and bool(config.slm.crf.unlabelled)


def clusters_use_converted_corpus(config: "Config") -> bool:
    """Return whether the text whose characters are clustered is the corpus in the script of the labelled text."""
    is_corpus = config.slm.crf.unlabelled == config.corpus.path
    return characters_are_clustered(config) and is_corpus and corpus_is_converted(config)


def slm_training_is_random(config: "Config") -> bool:
    """Return whether training the small model draws random numbers.

    A CRF draws random numbers only to cluster characters.
    """
    return not slm_is_crf(config) or characters_are_clustered(config)


def has_llm(config: "Config") -> bool:
    """Return whether there is an LLM beside the small model."""
    return config.llm.model != "none"


def has_no_llm(config: "Config") -> bool:
    """Return whether the small model is the only model."""
    return not has_llm(config)


def llm_is_from_scratch(config: "Config") -> bool:
    """Return whether the LLM is made from scratch."""
    return config.llm.model == "scratch"


def llm_is_trained(config: "Config") -> bool:
    """Return whether the LLM is trained, in full or by LoRA."""
    return llm_is_fully_trained(config) or llm_has_adapter(config)


def llm_is_made(config: "Config") -> bool:
    """Return whether making the LLM draws random numbers: it does unless a pretrained LLM is used untrained."""
    return llm_is_from_scratch(config) or llm_is_trained(config)


def llm_is_fully_trained(config: "Config") -> bool:
    """Return whether all parameters of the LLM are trained, before LoRA."""
    return has_llm(config) and config.llm.full_epochs > 0


def llm_has_adapter(config: "Config") -> bool:
    """Return whether a LoRA adapter is trained."""
    return has_llm(config) and config.llm.epochs > 0


def prompts_show_examples(config: "Config") -> bool:
    """Return whether prompts show examples (tagged training sentences)."""
    return has_llm(config) and config.llm.examples != "none"


def examples_are_retrieved(config: "Config") -> bool:
    """Return whether prompts show similar examples, which are found in the index."""
    return has_llm(config) and config.llm.examples == "similar"


def examples_are_fixed(config: "Config") -> bool:
    """Return whether all prompts show the same few examples."""
    return has_llm(config) and config.llm.examples == "fixed"


def llm_learns_from_examples(config: "Config") -> bool:
    """Return whether the LLM is trained on prompts that show examples."""
    return llm_is_trained(config) and prompts_show_examples(config)


def llm_learns_from_retrieved_examples(config: "Config") -> bool:
    """Return whether the LLM is trained on prompts that show examples found in the index."""
    return llm_is_trained(config) and examples_are_retrieved(config)


def prompts_show_hints(config: "Config") -> bool:
    """Return whether prompts show what the small model predicted."""
    return has_llm(config) and config.llm.hint != "none"


def llm_learns_from_hints(config: "Config") -> bool:
    """Return whether the LLM is trained on prompts that show what the small model predicted."""
    return llm_is_trained(config) and prompts_show_hints(config)


def instruction_is_built_in(config: "Config") -> bool:
    """Return whether the prompt has the built-in instruction, which names the types."""
    return config.llm.instruction is None


def llm_runs_in_vllm(config: "Config") -> bool:
    """Return whether vLLM runs the LLM for prediction."""
    return has_llm(config) and config.llm.engine == "vllm"


def llm_generates_freely(config: "Config") -> bool:
    """Return whether the LLM writes its answers without the tag grammar."""
    return has_llm(config) and config.llm.decoding == "free"


def candidates_are_scored(config: "Config") -> bool:
    """Return whether the LLM scores candidates that it did not predict. An LLM that writes freely scores none."""
    return has_llm(config) and config.score.llm.candidates and not llm_generates_freely(config)


def pretraining_starts_from_scratch(config: "Config") -> bool:
    """Return whether an encoder is pretrained from scratch."""
    return config.pretrain.start == "scratch"
