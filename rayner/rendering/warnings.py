"""Warnings that the report and the site show at the top of a page."""

from collections.abc import Mapping, Sequence

from rayner.corpus.plain_text.markup import MarkupFiles
from rayner.corpus.scripts.recognition import ScriptComparison
from rayner.corpus.silent_models import SilentModel
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.templates import format_value
from rayner.rendering.translation import translate


def translate_markup(markup: MarkupFiles) -> list[BilingualText]:
    """Return the warning about files that hold tags of HTML or XML; [] if there are none."""
    if not markup.files:
        return []
    return [translate("markup_in_texts", format_value(markup.files), markup.example, markup.first_path)]


def translate_script_mismatch(scripts: ScriptComparison) -> list[BilingualText]:
    """Return the warning that the models read another script than they were trained on; [] if they did not."""
    if not scripts.is_mismatch:
        return []
    labelled, corpus = scripts.labelled, scripts.corpus
    return [
        translate(
            "script_mismatch",
            translate(f"script_{labelled.script}"),
            translate(f"script_{corpus.script}"),
            format_value(corpus.traditional),
            format_value(corpus.simplified),
        )
    ]


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


def translate_warnings(
    scripts: ScriptComparison, markup: MarkupFiles, silent_models: Mapping[str, Sequence[SilentModel]]
) -> list[BilingualText]:
    """Return all warnings about a run or a tagged corpus. silent_models: the models by place."""
    return [
        *translate_script_mismatch(scripts),
        *translate_markup(markup),
        *(text for place, models in silent_models.items() for text in translate_silent_models(place, models)),
    ]
