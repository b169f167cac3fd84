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
    # the estimate by a random sample
    "estimate": (
        "A person marked {0} sentences of this corpus, drawn at random.",
        "有人对从本语料随机抽取的 {0} 句作了标注。",
    ),
    "estimated_precision": (
        "By these, of 100 names tagged here about {0} are right ({1} to {2}).",
        "据此估计，本语料标注的每 100 个实体中约 {0} 个正确（{1} 至 {2}）。",
    ),
    "estimated_recall": (
        "Of 100 names in this corpus about {0} are found ({1} to {2}).",
        "本语料中的每 100 个实体约找到 {0} 个（{1} 至 {2}）。",
    ),
    "estimate_passed_over": (
        "Sentences were passed over: if they are the hard ones, the estimate is too good.",
        "有句子被跳过：如果被跳过的是难句，估计就会偏高。",
    ),
    # what confidence does not show
    "missed_not_shown": (
        "Only entities that were tagged have a confidence. Names that were missed are not shown here, so this can look "
        "good although many names are missing.",
        "只有已标注的实体才有置信度，漏标的实体不在此列；因此即使漏标很多，此处看上去也可能很好。",
    ),
    "held_out_recall": (
        "Of 100 names in the held-out sentences about {0} are found ({1} to {2}).",
        "留出句子中的每 100 个实体约找到 {0} 个（{1} 至 {2}）。",
    ),
    "recall_unknown": (
        "How many are missing, a person who marks some sentences of the corpus can tell: rayner review sample.",
        "标注若干语料句子即可估计漏标了多少：rayner review sample。",
    ),
    # warnings
    "warnings": ("Warnings", "警告"),
    "script_mismatch": (
        "The labelled text is in {0} script, the corpus in {1} ({2} characters of traditional script only, {3} of "
        "simplified): the models do not know many of its characters. With corpus.match_script=true they read a copy in "
        "the script of the labelled text; the tagged corpus keeps the original.",
        "标注文本为{0}，语料为{1}（只用于繁体的字 {2} 个，只用于简体的字 {3} 个），模型不认识其中的许多字。"
        "设 corpus.match_script=true 后，模型读取转换为标注文本字形的副本，标注结果仍保留原文。",
    ),
    "script_traditional": ("traditional", "繁体"),
    "script_simplified": ("simplified", "简体"),
    "script_mixed": ("both scripts", "繁简混用"),
    "markup_in_texts": (
        "{0} texts hold markup such as {1} ({2}): it is tagged like text. Take plain text instead.",
        "有 {0} 个文本含有 {1} 之类的标记（{2}），标记也被当作正文标注。请改用纯文本。",
    ),
    "silent_model": (
        "{0} found no entity in {1} characters of {2}: the tags are probably wrong. Check that the text is in the "
        "language and script of the training text, and the scores on held-out sentences.",
        "{0}在{2}的 {1} 个字中没有找到任何实体，标注结果很可能有误。"
        "请检查文本的语言和字形（繁体或简体）是否与训练文本一致，并查看留出句子上的成绩。",
    ),
    "silent_slm": ("The small model", "小模型"),
    "silent_llm": ("The LLM", "大模型"),
    "silent_fused": ("The fusion of both models", "两个模型的融合"),
    "place_corpus": ("the corpus", "语料"),
    "place_dev": ("the held-out sentences for tuning", "调参用的留出句子"),
    "place_test": ("the held-out sentences for testing", "测试用的留出句子"),
    # one entity in words
    "with_confidence": ("confidence {0}", "置信度 {0}"),
    "both_agree": ("both models agree", "两模型一致"),
    "by_slm": ("decided by the SLM", "由小模型裁决"),
    "by_llm": ("decided by the LLM", "由大模型裁决"),
    "by_second_thought": (
        "a second thought of the SLM, chosen by the fusion rule",
        "小模型的次选，由融合规则选出",
    ),
    "by_person": ("decided by a person", "由人裁定"),
    "vote_of": ("{0}: {1}", "{0}：{1}"),
    "vote_with_number": ("{0} ({1} {2})", "{0}（{1} {2}）"),
    "part_separator": ("; ", "；"),
    "private_use": ("{0}, private use", "{0}，私用区字符"),
}
