"""Load the small model of a run: the tagger, its family, and the characters that it knows."""

from collections.abc import Container

from rayner.config.conditions import clusters_use_converted_corpus, slm_is_encoder
from rayner.config.plugins import is_plugin_name, load_plugin
from rayner.config.settings import Config
from rayner.runs.run_folder import Run
from rayner.steps.faiss_packages import choose_index_device
from rayner.taggers.custom_tagger import CustomTagger, CustomTaggerFamily
from rayner.taggers.families import make_tagger_family
from rayner.taggers.tagger import Tagger, TaggerFamily


def load_tagger_family(config: Config) -> TaggerFamily:
    """Return the family of taggers that `slm.family` names.

    Raises ConfigError if the setting names a plugin that cannot be imported or is not a `CustomTagger`.
    """
    name = config.slm.family
    if not is_plugin_name(name):
        return make_tagger_family(
            config.slm,
            faiss_device=choose_index_device(config),
            unlabelled_encoding=config.corpus.encoding_of(config.slm.crf.unlabelled),
            matches_script=clusters_use_converted_corpus(config),
        )
    workers = config.slm.workers
    functions: CustomTagger = load_plugin("slm.family", name, CustomTagger, "a CustomTagger")
    return make_tagger_family(config.slm, CustomTaggerFamily(name, functions, workers.cpus, workers.gpus))


def load_tagger(config: Config, run: Run, *, sentence_vectors: bool = False) -> Tagger:
    """Load the trained small model of a run in a process that has the resources `score`.

    sentence_vectors: whether the predictions of the model also contain sentence vectors.
    """
    device = None
    if slm_is_encoder(config):
        from rayner.modeling.devices import resolve_device  # loads torch, which other families may not need

        device = resolve_device(config.device, config.score.gpus)
    return load_tagger_family(config).load(
        run.local_path("models", "slm"),
        device,
        batch_size=config.score.slm.batch_size,
        sentence_vectors=sentence_vectors,
    )


def load_known_characters(config: Config, run: Run) -> Container[str]:
    """Return the characters that the small model knows: it has tokens for them, or saw them in training."""
    return load_tagger_family(config).load_known_characters(run.local_path("models", "slm"))
