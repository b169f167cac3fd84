"""Look up the texts of the report and the site by key: one table, one function."""

from rayner.rendering.bilingual import BilingualText, fill_text, same_in_both
from rayner.rendering.texts_methods import METHODS_TEXTS
from rayner.rendering.texts_report import REPORT_TEXTS
from rayner.rendering.texts_shared import SHARED_TEXTS
from rayner.rendering.texts_site import SITE_TEXTS
from rayner.text.entity_types import ENTITY_TYPES

GLOSS_TEXTS = {
    f"gloss_{entity_type.code}": (entity_type.english, entity_type.simplified) for entity_type in ENTITY_TYPES
}
TEXTS = {**SHARED_TEXTS, **REPORT_TEXTS, **METHODS_TEXTS, **SITE_TEXTS, **GLOSS_TEXTS}


def translate(key: str, *values: object) -> BilingualText:
    """Return a text in both languages, with the values in the places of {0}, {1} ... Raises KeyError."""
    return fill_text(TEXTS[key], *values)


def translate_setting(value: str) -> BilingualText:
    """Return the value of a setting of a fusion rule in words; an unknown value is returned as it is."""
    return translate(f"setting_{value}") if f"setting_{value}" in TEXTS else same_in_both(value)


def translate_feature_name(name: str) -> BilingualText:
    """Return the name of a feature of the learned rule in both languages. `length 3` and `type NR` carry a value."""
    if f"feature_{name}" in TEXTS:
        return translate(f"feature_{name}")
    label, _, value = name.partition(" ")
    return translate("name_and_number", translate(f"feature_{label}"), value)


def find_type_gloss(type_name: str) -> BilingualText | None:
    """Return what a type means, such as `person`, None for a type without a gloss."""
    key = f"gloss_{type_name}"
    return translate(key) if key in TEXTS else None


def format_type_with_gloss(type_name: str) -> BilingualText:
    """Return `NR person`, or the bare name of a type without a gloss."""
    gloss = find_type_gloss(type_name)
    return translate("type_code_and_gloss", type_name, gloss) if gloss else same_in_both(type_name)
