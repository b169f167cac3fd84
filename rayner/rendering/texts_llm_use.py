"""Texts of the report about runs without an LLM, and about whether tagging asks it, in English and Chinese."""

LLM_USE_TEXTS: dict[str, tuple[str, str]] = {
    # what the LLM is worth, and what follows from it
    "tuned_worth": ("On the {0} held-out sentences: {1}", "在开发集的 {0} 个句子上：{1}"),
    "llm_asked": ("So tagging asks the LLM.", "因此标注时询问大模型。"),
    "llm_asked_anyway": (
        "Tagging asks the LLM nevertheless, because the settings say so.",
        "标注时仍按设置询问大模型。",
    ),
    "llm_not_asked": (
        "So tagging does not ask the LLM: the control without it tags.",
        "因此标注时不询问大模型，由不含大模型的对照裁决。",
    ),
    "llm_not_asked_anyway": (
        "Tagging does not ask the LLM nevertheless, because the settings say so: the control without it tags.",
        "但标注时按设置不询问大模型，由不含大模型的对照裁决。",
    ),
    # runs without an LLM
    "nav_rule": ("Rule", "规则"),
    "no_llm": (
        "This run has no LLM. A rule that was fitted on held-out sentences decides which entities are kept, by the "
        "small model's probabilities and the training text.",
        "本次运行不使用大模型。由一个在开发集句子上拟合的规则，根据小模型的概率与训练文本，决定保留哪些实体。",
    ),
    "rule_chosen": (
        "The rule that decides is: {0}. Micro F1 on held-out data: {1}.",
        "裁决所用的规则为：{0}。开发集上的微平均 F1：{1}。",
    ),
    "baselines_alone": ("Micro F1 on held-out data: {0}.", "开发集上的微平均 F1：{0}。"),
    "rule_output": ("output of the rule", "规则的结果"),
    "rule_output_characters": ("rule by characters", "逐字的规则"),
    "rule_output_regions": ("rule by regions", "按区域的规则"),
    "rule_output_spans": ("learned rule", "学习规则"),
    "rule_output_documents": ("learned rule with evidence from the document", "含文档证据的学习规则"),
    "rule_output_type": ("output of the rule, {0}", "规则的结果，{0}"),
    "rule_outcomes_caption": (
        "Gold entities of each type by their outcome in the output of the rule",
        "各类别的金标准实体在规则的结果中的情况",
    ),
    "slm_alone": ("The same for the small model alone", "仅小模型的情况"),
    "samples_lead_without_llm": (
        "Point at an entity to see its confidence. With the keyboard: focus a passage and use the arrow keys.",
        "将指针移到实体上可查看其置信度；也可选中段落后用方向键移动。",
    ),
    # the methods paragraph
    "methods_spans_alone": (
        "A learned rule decides on the small model's candidates: a logistic regression on its probabilities and a "
        "lexicon of the training text accepts or rejects each candidate entity.",
        "小模型的候选实体由学习得到的规则取舍：以小模型的概率及训练文本的词表为特征的逻辑回归决定每个候选实体的去留。",
    ),
    "methods_evidence": (
        "In a second pass it also reads how the same string was decided elsewhere in the document.",
        "第二遍还考虑同一字串在文档他处的判定。",
    ),
    "methods_characters_alone": (
        "A tag of the small model is kept at a character if 1 - H >= {0}, where H is its entropy there. Illegal "
        "sequences of tags were repaired.",
        "若小模型在某字的熵 H 满足 1 - H >= {0}，则保留该字的标签。不合法的标签序列已修正。",
    ),
    "methods_regions_alone": (
        "An entity of the small model is kept if 1 - H >= {0}, where H is the {1} of its entropy over the entity.",
        "若小模型在某实体内熵的{1} H 满足 1 - H >= {0}，则保留该实体。",
    ),
    "methods_custom_rule_alone": (
        "A custom rule ({0}) decides on the small model's predictions.",
        "小模型的预测由自行编写的规则（{0}）取舍。",
    ),
    "methods_scores_alone": (
        "Strict micro F1 on the test sentences, in percent with 95% bootstrap intervals: {0}, {1}.",
        "测试集上命名实体识别的严格微平均 F1（%，括号内为自助法 95% 置信区间）：{0}，{1}。",
    ),
    "methods_score_rule": ("with the rule {0} ({1} to {2})", "经规则 {0}（{1} 至 {2}）"),
    "methods_corpus_alone": (
        "The tagged corpus has {0} documents ({1} characters, {2} sentences) and {3} entities. {4} sentences were set "
        "aside because tagging them failed.",
        "所标注的语料共 {0} 篇（{1} 字，{2} 句），得到 {3} 个实体；{4} 句因标注失败而被搁置。",
    ),
    "methods_llm_not_asked": (
        "The corpus was tagged by the control, without asking the large model, because its worth on held-out sentences "
        "was not beyond chance.",
        "由于大模型在开发集上的贡献未超出偶然，语料由对照标注，未询问大模型。",
    ),
    "methods_llm_not_asked_anyway": (
        "The corpus was tagged by the control, without asking the large model.",
        "语料由对照标注，未询问大模型。",
    ),
}
