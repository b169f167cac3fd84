"""What the report calls the systems that it compares, in both languages."""

from collections.abc import Mapping

from rayner.fusion.artifact import BUILT_IN_RULES
from rayner.rendering.bilingual import BilingualText
from rayner.rendering.translation import translate

SYSTEM_TEXTS: Mapping[str, BilingualText] = {key: translate(key) for key in ("slm", "llm", "fused")}
ALL_SYSTEM_TEXTS: Mapping[str, BilingualText] = {
    **SYSTEM_TEXTS,
    "control": translate("control"),
    **{f"{system}_{rule}": translate(f"{system}_{rule}") for rule in BUILT_IN_RULES for system in ("fused", "control")},
}
_SYSTEM_TEXTS_WITHOUT_LLM = {"slm": translate("slm"), "fused": translate("rule_output")}
_ALL_SYSTEM_TEXTS_WITHOUT_LLM = {
    **_SYSTEM_TEXTS_WITHOUT_LLM,
    **{f"fused_{rule}": translate(f"rule_output_{rule}") for rule in BUILT_IN_RULES},
}


def get_system_texts(*, has_llm: bool) -> Mapping[str, BilingualText]:
    """Return the names of the main systems. Without an LLM, `fused` is what the rule makes of the SLM's predictions."""
    return SYSTEM_TEXTS if has_llm else _SYSTEM_TEXTS_WITHOUT_LLM


def get_all_system_texts(*, has_llm: bool) -> Mapping[str, BilingualText]:
    """Return the names of all systems, as `get_system_texts` does for the main ones."""
    return ALL_SYSTEM_TEXTS if has_llm else _ALL_SYSTEM_TEXTS_WITHOUT_LLM
