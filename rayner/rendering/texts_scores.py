"""Texts of the run report about the scores, in English and Chinese. Values replace {0}, {1} ... in a text."""

SCORE_TEXTS: dict[str, tuple[str, str]] = {
    "specialists": ("For specialists", "专业指标"),
    "shares": (
        "Of 100 names that are marked, about {0} are right ({1} to {2}). Of 100 names in such a text, about {3} are "
        "found ({4} to {5}).",
        "每标注 100 个实体，约 {0} 个正确（{1} 至 {2}）；此类文本中每 100 个实体，约找到 {3} 个（{4} 至 {5}）。",
    ),
    "share_of_unseen": (
        "Of 100 names that training never showed, about {0} are found ({1} to {2}).",
        "训练文本中从未出现的实体，每 100 个约找到 {0} 个（{1} 至 {2}）。",
    ),
    "few_test_names": (
        "The scores are measured on {0} sentences with {1} names. Fewer than {2} sentences or {3} names are too few to "
        "trust them: label more, or read the intervals.",
        "评分仅基于 {0} 句、{1} 个实体。少于 {2} 句或 {3} 个实体时不足为据：请增加标注，或以置信区间为准。",
    ),
    "more_new_names": (
        "Of 100 names tagged in the corpus, {0} are names that training never showed; in the held-out sentences {1}. "
        "Such names are found less often, so the corpus is tagged worse than the scores say. How much worse, a person "
        "who marks some of its sentences can tell: rayner review sample.",
        "语料中标注的每 100 个实体，有 {0} 个在训练文本中从未出现；留出句子中为 {1} 个。"
        "这类实体较难找到，因此语料的标注质量低于评分。标注若干语料句子即可估计：rayner review sample。",
    ),
    "corpus_and_training": ("The corpus beside the training text", "语料与训练文本之比较"),
    "novelty": (
        "Training never showed {0}% of the characters of the corpus, {1}% of its pairs of neighbouring characters, and "
        "{2}% of the names tagged in it.",
        "语料中有 {0}% 的字、{1}% 的相邻字对和 {2}% 的所标实体在训练文本中从未出现。",
    ),
    "novelty_of_held_out": (
        "In the held-out sentences it is {0}% of the characters and {1}% of the pairs.",
        "留出句子中为 {0}% 的字和 {1}% 的字对。",
    ),
    "novelty_confidence": (
        "Of 100 names found in the held-out sentences, 20 have a confidence below {0}; of 100 names of the corpus, "
        "{1} do.",
        "留出句子中所标实体每 100 个有 20 个置信度低于 {0}；语料中每 100 个有 {1} 个。",
    ),
    "novelty_note": (
        "The more of the corpus is new, the less the scores hold for it. Punctuation and white space do not count.",
        "语料中未见的内容越多，评分就越不适用。标点与空白不计。",
    ),
    "unusual_documents": ("Documents that stand out", "较为特殊的文献"),
    "unusual_documents_note": (
        "The {0} documents with the largest share of new names, and of the others the {0} with the lowest mean "
        "confidence. Documents with fewer than {1} names are left out.",
        "新实体占比最大的 {0} 篇，以及其余文献中平均置信度最低的 {0} 篇。实体少于 {1} 个的文献不列入。",
    ),
    "new_name_share": ("New names, percent", "新实体（%）"),
    "mean_score": ("Mean confidence", "平均置信度"),
    "seen_caption": (
        "Names that the training text tags somewhere (seen), and names that it never tags (unseen), by type: {0}",
        "训练文本中标注过的实体（已见）与从未标注的实体（未见），按类别：{0}",
    ),
    "seen": ("Seen", "已见"),
    "unseen": ("Unseen", "未见"),
    "seen_label": ("Scores of seen and unseen names", "已见与未见实体的评分"),
    "scores_lead": (
        "Strict micro F1 in percent on {0} labelled sentences ({1} distinct, {2} characters). An entity is correct if "
        "its start, its end and its type are correct.",
        "在 {0} 个有标注的句子（去重后 {1} 个，共 {2} 字）上的严格微平均 F1（%）：实体的起点、"
        "终点与类别全部正确方计为正确。",
    ),
    "interval": ("95% interval {0} to {1}", "95% 置信区间 {0} 至 {1}"),
    "precision": ("Precision", "精确率"),
    "recall": ("Recall", "召回率"),
    "correct": ("Correct", "正确"),
    "count_of_total": ("{0} of {1}", "{0} / {1}"),
    "without_llm": (
        "{0} of the sentences have no answer of the LLM (gated or set aside). There the fused result is the SLM's "
        "result, and the LLM alone is scored as if it had found no entity.",
        "其中 {0} 个句子没有大模型的回答（被门控略过或被搁置）。这些句子的融合结果即小模型的结果，"
        "单独评估大模型时按未找到任何实体计。",
    ),
    "higher": ("{0} scores {2} points higher than {1}, {3}.", "{0}比{1}高 {2} 个百分点，{3}。"),
    "no_clear_difference": (
        "no clear difference between {0} and {1}: {2} points, {3}.",
        "{0}与{1}之间无显著差异：{2} 个百分点，{3}。",
    ),
    "worth_ahead": (
        "The LLM is worth {0} points here (fused {1}, control {2}, {3}): beyond chance.",
        "大模型在此的贡献为 {0} 个百分点（融合结果 {1}，对照 {2}，{3}），超出偶然。",
    ),
    "worth_even": (
        "The LLM is worth {0} points here (fused {1}, control {2}, {3}): this cannot be told from chance.",
        "大模型在此的贡献为 {0} 个百分点（融合结果 {1}，对照 {2}，{3}），与偶然无法区分。",
    ),
    "worth_behind": (
        "The LLM is worth {0} points here (fused {1}, control {2}, {3}): it harms, beyond chance.",
        "大模型在此的贡献为 {0} 个百分点（融合结果 {1}，对照 {2}，{3}），有损结果，超出偶然。",
    ),
    "control_note": (
        "The control without the LLM is the same kind of fusion, fitted anew on the same held-out sentences with every "
        "answer of the LLM empty. It shows what the rule gains by itself, from the SLM's probabilities and the "
        "training text.",
        "不含大模型的对照是同类的融合：以空回答代替大模型的全部回答，在相同的开发集句子上重新拟合。"
        "它显示规则本身凭小模型的概率与训练文本所得的提升。",
    ),
    "no_scores": (
        "This run has no labelled test data, so the report has no scores.",
        "本次运行没有测试用标注数据，因此报告中没有成绩。",
    ),
    "all_measures": ("All measures", "全部指标"),
    "measures_caption": ("All measures, percent", "全部指标（%）"),
    "system": ("System", "系统"),
    "micro_f1": ("Micro F1", "微平均 F1"),
    "macro_f1": ("Macro F1, types", "宏平均 F1（按类别）"),
    "token_label": ("Token-level macro scores", "逐字宏平均成绩"),
    "token_caption": (
        "Token-level macro precision, recall and F1, percent; below F1 its 95% interval",
        "逐字宏平均的精确率（P）、召回率（R）与 F1（%）；F1 之下为其 95% 置信区间",
    ),
    "token_tags_with_o": ("Tags, with O", "标签（含 O）"),
    "token_tags_without_o": ("Tags, without O", "标签（不含 O）"),
    "token_types_with_o": ("Types, with O", "类别（含 O）"),
    "token_types_without_o": ("Types, without O", "类别（不含 O）"),
    "token_note": (
        "Each is the mean over the classes that occur. The classes are the tags of single characters (position and "
        "type), or the types alone. The macro F1 is not the harmonic mean of the macro P and R.",
        "各值均为所出现的各类的平均。“标签”指单字的标签（位置与类别），“类别”只看类别。"
        "宏平均 F1 并非宏平均 P 与 R 的调和平均。",
    ),
    "predicted": ("Found", "找到"),
    "fused_characters_note": (
        "“Fused by characters” is the rule of the paper, with a λ of its own: it decides each character separately. It "
        "produced {0} illegal tag transitions in {1} sentences, which were repaired before scoring. The rule by "
        "regions and the learned rule are not in the paper. Their tags are always legal.",
        "“逐字融合”是论文的规则，其 λ 单独选定：对每个字单独裁决。它在 {1} 个句子中产生 {0} 处不合法的标签转移，"
        "评分前已修正。按区域的规则与学习规则为论文所无，其标签总是合法。",
    ),
}
