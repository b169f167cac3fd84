"""Look up the texts of the report and the site by their keys."""

from rayner.rendering.bilingual import BilingualText, fill_text, same_in_both
from rayner.rendering.texts_llm_use import LLM_USE_TEXTS
from rayner.rendering.texts_methods import METHODS_TEXTS
from rayner.rendering.texts_report import REPORT_TEXTS
from rayner.rendering.texts_scores import SCORE_TEXTS
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.text.entity_types import ENTITY_TYPES

GLOSS_TEXTS = {
    f"gloss_{entity_type.code}": (entity_type.english, entity_type.simplified) for entity_type in ENTITY_TYPES
}
TEXTS = {**SHARED_TEXTS, **REPORT_TEXTS, **SCORE_TEXTS, **LLM_USE_TEXTS, **METHODS_TEXTS, **SITE_TEXTS, **GLOSS_TEXTS}


def translate(key: str, *values: object) -> BilingualText:
    """Return a text in both languages, with {0}, {1} ... replaced by the values. Raises KeyError for an unknown key."""
    return fill_text(TEXTS[key], *values)


def translate_setting(value: str) -> BilingualText:
    """Describe the value of a fusion rule's setting in words. An unknown value is returned unchanged."""
    return translate(f"setting_{value}") if f"setting_{value}" in TEXTS else same_in_both(value)


def translate_feature_name(name: str) -> BilingualText:
    """Return a feature name of the learned rule in both languages. A name may contain a value, as in `length 3`."""
    if f"feature_{name}" in TEXTS:
        return translate(f"feature_{name}")
    label, _, value = name.partition(" ")
    return translate("name_and_number", translate(f"feature_{label}"), value)


def find_type_gloss(type_name: str) -> BilingualText | None:
    """Return the gloss (the meaning) of a type, such as `person`, or None if the type has no gloss."""
    key = f"gloss_{type_name}"
    return translate(key) if key in TEXTS else None


def format_type_with_gloss(type_name: str) -> BilingualText:
    """Return the name of a type with its gloss, such as `NR person`, or only the name if the type has no gloss."""
    gloss = find_type_gloss(type_name)
    return translate("type_code_and_gloss", type_name, gloss) if gloss else same_in_both(type_name)
