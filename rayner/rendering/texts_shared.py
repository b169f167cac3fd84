"""Texts that both the report and the site show, in English and Chinese. Values replace {0}, {1} ... in a text."""

SHARED_TEXTS: dict[str, tuple[str, str]] = {
    "skip": ("Skip to the content", "跳到正文"),
    "other_language": ("中文", "English"),
    # the two models and their entities
    "slm": ("SLM", "小模型"),
    "llm": ("LLM", "大模型"),
    "entities": ("Entities", "实体"),
    "types": ("Types", "类别"),
    "type": ("Type", "类别"),
    "type_code_and_gloss": ("{0} {1}", "{0} {1}"),
    "nothing": ("none", "无"),
    "disagreements": ("Disagreements", "分歧"),
    # one entity in words
    "with_confidence": ("confidence {0}", "置信度 {0}"),
    "both_agree": ("both models agree", "两模型一致"),
    "by_slm": ("decided by the SLM", "由小模型裁决"),
    "by_llm": ("decided by the LLM", "由大模型裁决"),
    "vote_of": ("{0}: {1}", "{0}：{1}"),
    "vote_with_number": ("{0} ({1} {2})", "{0}（{1} {2}）"),
    "part_separator": ("; ", "；"),
    "private_use": ("{0}, private use", "{0}，私用区字符"),
}
