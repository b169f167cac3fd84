"""Warnings that the report and the site show at the top of a page."""

from collections.abc import Sequence

from rayner.corpus.silent_models import SilentModel
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate


def translate_silent_models(place: str, models: Sequence[SilentModel]) -> list[BilingualText]:
    """Return a warning for each model that found no entity. place: `corpus`, `dev` or `test`."""
    return [
        translate(
            "silent_model",
            translate(f"silent_{model.finder}"),
            format_value(model.n_characters),
            translate(f"place_{place}"),
        )
        for model in models
    ]
