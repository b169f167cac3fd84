"""The one place where the setting `slm.family` is looked up."""

from rayner.config.model_settings import SlmConfig
from rayner.corpus.plain_text.encodings import UTF8
from rayner.taggers.crf_family import CrfFamily
from rayner.taggers.custom_tagger import CustomTaggerFamily
from rayner.taggers.tagger import TaggerFamily


def make_tagger_family(
    config: SlmConfig,
    custom: CustomTaggerFamily | None = None,
    faiss_device: str = "cpu",
    unlabelled_encoding: str = UTF8,
    matches_script: bool = False,
) -> TaggerFamily:
    """Return the family that `slm.family` names.

    Args:
        config: The settings `slm`.
        custom: The adapter around the user's own tagger, if `slm.family` names one (`module:name`). If given, this
            adapter is returned.
        faiss_device: `auto`, `cpu` or `cuda`, where a CRF's characters are clustered.
        unlabelled_encoding: The encoding of the text whose characters a CRF clusters.
        matches_script: Whether a CRF reads that text in the script of the training sentences.

    """
    if custom is not None:
        return custom
    if config.family == "encoder":
        from rayner.taggers.encoder import EncoderFamily  # loads torch and transformers, which a CRF does not need

        return EncoderFamily(config)
    uses_gpu = config.crf.unlabelled is not None and faiss_device != "cpu"
    return CrfFamily(
        config,
        gpus=config.workers.gpus if uses_gpu else 0.0,
        unlabelled_encoding=unlabelled_encoding,
        matches_script=matches_script,
    )
