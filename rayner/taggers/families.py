"""The one place where the setting `slm.family` is looked up."""

from collections.abc import Callable

from rayner.config.model_settings import SlmConfig
from rayner.taggers.crf import CrfFamily
from rayner.taggers.custom_tagger import CustomTaggerFamily
from rayner.taggers.encoder import EncoderFamily
from rayner.taggers.tagger import TaggerFamily


def make_tagger_family(config: SlmConfig, custom: CustomTaggerFamily | None = None) -> TaggerFamily:
    """Return the family that `slm.family` names.

    Args:
        config: The settings `slm`.
        custom: The adapter around the user's own tagger, if `slm.family` names one (`module:name`). If given, this
            adapter is returned.

    """
    if custom is not None:
        return custom
    families: dict[str, Callable[[SlmConfig], TaggerFamily]] = {"encoder": EncoderFamily, "crf": CrfFamily}
    return families[config.family](config)
