"""What the report calls the systems that it compares, in both languages."""

from rayner.rendering.translation import translate

SYSTEM_TEXTS = {key: translate(key) for key in ("slm", "llm", "fused")}
ALL_SYSTEM_TEXTS = SYSTEM_TEXTS | {
    key: translate(key)
    for key in (
        "control",
        "fused_characters",
        "control_characters",
        "fused_regions",
        "control_regions",
        "fused_spans",
        "control_spans",
    )
}
