"""Texts of the run report, in English and Chinese. Values replace {0}, {1} ... in a text."""

from rayner.rendering.texts_features import FEATURE_NAMES

REPORT_TEXTS: dict[str, tuple[str, str]] = {
    # the page
    "report": ("rayner · report of a run", "rayner · 运行报告"),
    "sections": ("Sections", "章节"),
    "nav_scores": ("Scores", "成绩"),
    "nav_fusion": ("Fusion", "融合"),
    "nav_conflicts": ("Conflicts", "冲突"),
    "nav_samples": ("Tagged text", "标注文本"),
    "nav_methods": ("Methods", "方法"),
    "nav_run": ("The run", "运行情况"),
    "nav_more": ("Settings", "设置"),
    "not_printed": (
        "Not on paper, only on the screen: scores for specialists, how the rule was chosen, all settings, and further "
        "examples.",
        "以下内容只在屏幕上显示，不予打印：专业指标、规则的选定、全部设置，以及其余的例子。",
    ),
    "intervals_note": (
        "Intervals are 95% percentile bootstrap intervals over sentences. They are paired where two systems are "
        "compared. Offsets count Unicode code points from 0.",
        "区间均为以句为单位、按自助法（bootstrap）百分位求得的 95% 置信区间；比较两个系统时采用配对重抽样。"
        "位置按 Unicode 码位计数，从 0 开始。",
    ),
    # systems
    "fused": ("fused", "融合结果"),
    "fused_regions": ("fused by regions", "按区域融合"),
    "fused_characters": ("fused by characters", "逐字融合"),
    "fused_spans": ("fused by the learned rule", "按学习规则融合"),
    "fused_documents": ("fused by the learned rule with evidence from the document", "按含文档证据的学习规则融合"),
    "control": ("control without the LLM", "不含大模型的对照"),
    "control_characters": ("control by characters", "逐字规则的对照"),
    "control_regions": ("control by regions", "按区域规则的对照"),
    "control_spans": ("control by the learned rule", "学习规则的对照"),
    "control_documents": ("control by the learned rule with evidence from the document", "含文档证据的学习规则的对照"),
    "no_model": ("neither", "两者皆非"),
    "gold": ("Gold", "金标准"),
    "name_and_number": ("{0} {1}", "{0} {1}"),
    "list_separator": (", ", "，"),
    # types
    "types_figure": ("F1 of each type, with 95% intervals.", "各类别的 F1 及其 95% 置信区间。"),
    "per_type_label": ("Scores of each type", "各类别的成绩"),
    "per_type_caption": (
        "Precision, recall and F1 of each type, percent; below F1 its 95% interval",
        "各类别的精确率（P）、召回率（R）与 F1（%）；F1 之下为其 95% 置信区间",
    ),
    "all": ("all", "合计"),
    "errors": ("Errors", "错误分析"),
    "each_model": ("The same for each model", "两个模型各自的情况"),
    "outcomes_label": ("Gold entities by outcome", "金标准实体的结果"),
    "outcomes_caption": (
        "Gold entities of each type by their outcome in the fused result",
        "各类别的金标准实体在融合结果中的情况",
    ),
    "wrong_boundary": ("Wrong boundary", "边界错误"),
    "wrong_type": ("Wrong type", "类别错误"),
    "wrong_both": ("Both wrong", "边界与类别均错"),
    "missed": ("Missed", "漏标"),
    "confusion_label": ("Confusion of types, {0}", "类别混淆矩阵，{0}"),
    "confusion_caption": (
        "{0}: gold types (rows) and the types of the entities that overlap them (columns)",
        "{0}：金标准类别（行）与同其重叠的实体的类别（列）",
    ),
    "no_gold": ("no gold entity", "无对应实体"),
    # fusion
    "region_rule": (
        "The rule by conflict regions, which is not in the paper, compares the models on whole regions. Where the two "
        "models differ, the SLM wins if 1 − H ≥ λ · exp(P), otherwise the LLM wins. Here λ = {0}, H is the {1} entropy "
        "of the SLM over the region, and P is the {2} of the probabilities of {3}{4}.",
        "按冲突区域裁决的规则为论文所无，它在整个区域上比较两模型。两模型意见不同之处，若 1 − H ≥ λ · exp(P) "
        "则取小模型，否则取大模型。此处 λ = {0}，H 为小模型在该区域内熵的{1}，P 为{3}的概率的{2}{4}。",
    ),
    "character_rule": (
        "The rule of the paper decides each character separately by the same comparison, with λ = {0}. Its micro F1 on "
        "held-out data: {1}.",
        "论文的规则以同一比较式对每个字单独裁决，λ = {0}，在开发集上的微平均 F1 为 {1}。",
    ),
    "characters_chosen": (
        "The rule of the paper decides. Micro F1 on held-out data: this rule {0}, rule by regions {1}, learned rule "
        "{2}.",
        "由论文的规则裁决。开发集上的微平均 F1：该规则 {0}，按区域的规则 {1}，学习规则 {2}。",
    ),
    "probabilities_from": (", from {0}", "（概率取自{0}）"),
    "probs_of_entities": (
        "the LLM's entities there, or of its decision to open no entity where it has none",
        "大模型在该处所标实体（未标之处则为其不开启实体的决定）",
    ),
    "probs_of_slots": ("all choices of the LLM there", "大模型在该处所作全部决定"),
    "softmax_all": ("the softmax over the whole vocabulary", "整个词表上的 softmax"),
    "softmax_allowed": ("the softmax over the tokens that the markup allows", "标记语法所允许的词元上的 softmax"),
    "spans_chosen": (
        "A learned rule reached a higher micro F1 on held-out data ({0}; the rule by regions: {1}), so it decides. It "
        "estimates for each candidate entity of either model the probability that the entity is correct, from both "
        "models' probabilities and the training text, and takes the most probable entities.",
        "在开发集上，一个经学习得到的规则的微平均 F1 更高（{0}；按区域的规则为 {1}），故由它裁决。"
        "它根据两模型的概率与训练文本，估计任一模型的每个候选实体正确的概率，取其中最可能者。",
    ),
    "custom_chosen": (
        "The rule {0} decides, with micro F1 {1} on held-out data. The rule by regions reaches {2} there.",
        "由规则 {0} 裁决，其在开发集上的微平均 F1 为 {1}；按区域的规则为 {2}。",
    ),
    "documents_chosen": (
        "A learned rule with evidence from the document decides. It estimates for each candidate entity the "
        "probability that it is correct, from both models' probabilities, the training text, and the decisions on the "
        "same string elsewhere in the document. Micro F1 on held-out data: {0}; the learned rule without that "
        "evidence: {1}; the rule by regions: {2}.",
        "由含文档证据的学习规则裁决：它根据两模型的概率、训练文本，以及同一字串在文档他处的判定，估计每个候选实体正确的概率。"
        "开发集上的微平均 F1：{0}；不含该证据的学习规则：{1}；按区域的规则：{2}。",
    ),
    "spans_not_chosen": (
        "A learned rule that judges each entity separately was fitted too, but not chosen. Micro F1 on held-out data: "
        "learned rule {0}, this rule {1}.",
        "另拟合了一个对每个实体单独判断的学习规则，未被选用。开发集上的微平均 F1：学习规则 {0}，上述规则 {1}。",
    ),
    "rule_weights": ("Weights of the learned rule", "学习规则的权重"),
    "baselines": (
        "Micro F1 on the held-out data on which λ was chosen: {0}.",
        "选定 λ 所用开发集上的微平均 F1：{0}。",
    ),
    "curve_figure": (
        "All rules by regions that were tried, over λ. At the far left the SLM always wins, at the far right the LLM "
        "always wins.",
        "所试的全部区域规则随 λ 的变化。最左端处处取小模型，最右端处处取大模型。",
    ),
    "best_rules": ("The best λ of each rule", "各规则的最优 λ"),
    "llm_confidence": ("P of", "P 取自"),
    "best_lambda": ("Best λ", "最优 λ"),
    "budget": ("F1 when the LLM is asked less often", "减少询问大模型时的 F1"),
    "budget_figure": (
        "F1 on the test sentences if the LLM is asked only about the sentences where the largest change is expected "
        "(gate.share). The exact gate asks about all sentences where an answer could change the result.",
        "测试句上：仅就预计改变最多的句子询问大模型（gate.share）时的 F1。精确门控则询问一切可能改变结果的句子。",
    ),
    "calibration": ("Calibration", "校准"),
    "calibration_note": (
        "The share of correct entities among those of the test sentences that have a score. On the dotted line the "
        "share equals the score. The error is the mean distance from that line over ten bins with equal "
        "numbers of entities, in points. Perfect scores would have an error, too, because a bin holds few entities: "
        "the table has the mean of 1,000 draws, and the value below which 95% of them lie.",
        "测试句中有置信度的实体里正确者所占的比例；在虚线上，该比例等于置信度。误差（ECE）"
        "为十个实体数相等的区间上与虚线的平均距离，以百分点计。因每个区间实体有限，完全准确的置信度也会有误差："
        "表中为 1,000 次抽样的均值与 95% 分位数。",
    ),
    "calibrated_figure": ("{0}, calibrated on held-out sentences", "{0}，以开发集句子校准"),
    "scores_of": ("Scores of", "置信度来自"),
    "error_before": ("Error before calibration", "校准前误差"),
    "error_after": ("Error after calibration", "校准后误差"),
    "error_if_perfect": ("Error of perfect scores", "完全准确时的误差"),
    "mean_and_high": ("{0}, 95% below {1}", "{0}，95% 低于 {1}"),
    "fused_type": ("fused, {0}", "融合结果，{0}"),
    "feature": ("Feature of an entity", "实体的特征"),
    "weight": ("Weight", "权重"),
    # conflicts and disagreements
    "conflicts": ("Conflict regions: which model is correct", "冲突区域：哪个模型正确"),
    "regions_lead": (
        "The models differ in {0} regions. In {2} of them one model is correct, and the fusion has the correct "
        "entities in {1} of these. Taking the correct model in all of them would give a micro F1 of {3}.",
        "两模型在 {0} 个区域意见不同。其中 {2} 个区域有一个模型正确，融合结果在这些区域中的 {1} 个取得正确的实体。"
        "若每次都选对模型，微平均 F1 可达 {3}。",
    ),
    "slm_correct": ("SLM correct", "小模型正确"),
    "llm_correct": ("LLM correct", "大模型正确"),
    "none_correct": ("neither correct", "均不正确"),
    "agree_everywhere": ("The two models agree everywhere.", "两模型处处一致。"),
    "selection": (
        "A selection of {0} conflict regions, over all types and outcomes. The text around a region is dimmed.",
        "选列 {0} 个冲突区域，兼顾各类别与各种结果；区域之外的文本以淡色显示。",
    ),
    "more_of": ("{0} more", "另有 {0} 例"),
    "mixed": (
        "the fused result takes neither model as a whole; correct model: {0}",
        "融合结果未整体取任一模型；正确的模型：{0}",
    ),
    "won_and_correct": ("{0} won and is correct", "取{0}，正确"),
    "won_but_other_correct": ("{0} won, {1} is correct", "取{0}，而{1}正确"),
    "won_none_correct": ("{0} won, neither is correct", "取{0}，两者均不正确"),
    "at_offset": ("at {0}", "位置 {0}"),
    # tagged text
    "samples_lead": (
        "Point at an entity to see the votes of both models. With the keyboard: focus a passage and use the arrow "
        "keys.",
        "将指针移到实体上可查看两模型的投票；也可选中段落后用方向键移动。",
    ),
    "agree_key": ("both agree", "两模型一致"),
    "slm_key": ("SLM decided", "小模型裁决"),
    "llm_key": ("LLM decided", "大模型裁决"),
    "person_key": ("a person decided", "人工裁定"),
    # methods and facts
    "methods": ("Methods paragraph to cite", "方法（可供引用）"),
    "settings": ("Settings and other records", "设置及其他记录"),
    "everything_else": ("All other records of the run", "运行的其他全部记录"),
    "facts_inputs": ("Inputs", "输入"),
    "facts_counts": ("Counts", "数量"),
    "facts_timings": ("Timings", "耗时"),
    "facts_faults": ("Irregularities in the input", "输入中的异常"),
    "facts_versions": ("Versions", "版本"),
    "facts_general": ("General", "概况"),
    # plots
    "other_rules": ("other rules, P of {0}", "其他规则，P 取自{0}"),
    "alone": ("{0} alone", "仅{0}"),
    "chosen_rule": ("chosen rule, λ = {0}", "所选规则，λ = {0}"),
    "lambda_axis": ("λ (a larger λ lets the LLM win more often)", "λ（越大，取大模型越多）"),
    "micro_axis": ("micro F1, %", "微平均 F1（%）"),
    "lambda_plot": (
        "Micro F1 on held-out data against λ, for each rule that was tried",
        "开发集上各规则的微平均 F1 随 λ 的变化",
    ),
    "exact_gate": ("exact gate, {0}% of the sentences", "精确门控，{0}% 的句子"),
    "asked_axis": ("sentences about which the LLM is asked, %", "询问大模型的句子比例（%）"),
    "budget_plot": (
        "Micro F1 against the share of sentences about which the LLM is asked",
        "微平均 F1 随询问大模型的句子比例的变化",
    ),
    "ideal": ("ideal", "理想情形"),
    "entities_size": ("entities (size: number)", "实体（大小表示数量）"),
    "score_axis": ("score", "置信度"),
    "correct_axis": ("share correct", "正确比例"),
    "reliability_plot": (
        "{0}: share of correct entities against their score",
        "{0}：实体的正确比例随置信度的变化",
    ),
    "types_plot": ("F1 of each type, with 95% intervals", "各类别的 F1 及 95% 置信区间"),
    # setting values of the rule by conflict regions (`rayner.fusion.region_rule`)
    "setting_mean": ("mean", "平均值"),
    "setting_max": ("maximum", "最大值"),
    "setting_min": ("minimum", "最小值"),
    "setting_product": ("product", "乘积"),
    "setting_entities": ("entities", "实体"),
    "setting_slots": ("slots", "位置"),
}

REPORT_TEXTS |= {f"feature_{name}": (name, zh) for name, zh in FEATURE_NAMES.items()}
