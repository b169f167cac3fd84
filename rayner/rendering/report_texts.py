"""Everything that the report says, in English and Chinese; {0}, {1} ... stand for what is filled in."""

from rayner.rendering.bilingual import GLOSSES, BilingualText, fill_text, same_in_both
from rayner.rendering.site_texts import MESSAGES as SITE

MESSAGES: dict[str, tuple[str, str]] = {
    # the page
    "eyebrow": ("rayner · report of a run", "rayner · 运行报告"),
    "sections": ("Sections", "章节"),
    "nav_scores": ("Scores", "成绩"),
    "nav_fusion": ("Fusion", "融合"),
    "nav_conflicts": ("Conflicts", "冲突"),
    "nav_samples": ("Tagged text", "标注文本"),
    "nav_methods": ("Methods", "方法"),
    "nav_run": ("The run", "运行情况"),
    "nav_more": ("Settings", "设置"),
    "intervals_note": (
        "Intervals: 95% percentile bootstrap over sentences, paired where two systems are compared. Offsets count "
        "Unicode code points from 0.",
        "区间均为以句为单位、按自助法（bootstrap）百分位求得的 95% 置信区间；比较两个系统时采用配对重抽样。"
        "位置按 Unicode 码位计数，从 0 开始。",
    ),
    # systems
    "fused": ("fused", "融合结果"),
    "fused_regions": ("fused by regions", "按区域融合"),
    "fused_calibrated": ("fused by calibrated confidence", "按校准置信度融合"),
    "fused_characters": ("per-character fusion", "逐字融合"),
    "neither_model": ("neither", "两者皆非"),
    "gold": ("Gold", "金标准"),
    # scores
    "scores_lead": (
        "Strict micro F1 in percent on {0} labelled sentences ({1} distinct, {2} characters): an entity counts if "
        "its start, its end and its type are all right.",
        "在 {0} 个有标注的句子（去重后 {1} 个，共 {2} 字）上的严格微平均 F1（%）：实体的起点、"
        "终点与类别全部正确方计为正确。",
    ),
    "interval": ("95% interval {0} to {1}", "95% 置信区间 {0} 至 {1}"),
    "precision": ("Precision", "精确率"),
    "recall": ("Recall", "召回率"),
    "right": ("Right", "正确"),
    "of": ("{0} of {1}", "{0} / {1}"),
    "without_llm": (
        "{0} of the sentences have no answer of the LLM (gated or set aside). There the fused result is the SLM's, "
        "and the LLM alone counts as having found nothing.",
        "其中 {0} 个句子没有大模型的回答（被门控略过或被搁置）。这些句子的融合结果即小模型的结果，"
        "单独评估大模型时按未找到任何实体计。",
    ),
    "ahead": ("{0} beats {1} by {2} points, {3}.", "{0}优于{1}，差值 {2} 个百分点，{3}。"),
    "even": (
        "no difference beyond chance between {0} and {1}: {2} points, {3}.",
        "{0}与{1}之间无显著差异：{2} 个百分点，{3}。",
    ),
    "no_scores": (
        "No labelled test data was given, so there are no scores here.",
        "未提供有标注的测试数据，因此没有成绩。",
    ),
    "all_measures": ("All measures", "全部指标"),
    "measures_caption": ("All measures, percent", "全部指标（%）"),
    "system": ("System", "系统"),
    "micro_f1": ("Micro F1", "微平均 F1"),
    "macro_f1": ("Macro F1, types", "宏平均 F1（按类别）"),
    "token_with_o": ("Token macro, with O", "逐字宏平均（含 O）"),
    "token_without_o": ("Token macro, without O", "逐字宏平均（不含 O）"),
    "predicted": ("Found", "找到"),
    "per_character_note": (
        "Per-character fusion is the published rule, which decides each character by itself: it left {0} irregular "
        "tag steps in {1} sentences, mended before scoring. “Fused” decides whole regions or entities, so its tags "
        "are always legal.",
        "“逐字融合”是论文中的规则，对每个字单独裁决：它在 {1} 个句子中留下 {0} 处不合法的标签转移，评分前已修正。"
        "“融合结果”以整个区域或实体为单位裁决，标签总是合法。",
    ),
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
    "outcomes_label": ("What became of the gold entities", "金标准实体的结果"),
    "outcomes_caption": (
        "What became of the gold entities of each type, in the fused output",
        "各类别的金标准实体在融合结果中的情况",
    ),
    "other_boundary": ("Other boundary", "边界错误"),
    "other_type": ("Other type", "类别错误"),
    "both_other": ("Both other", "边界与类别均错"),
    "missed": ("Missed", "漏标"),
    "confusion_label": ("Confusion of types, {0}", "类别混淆矩阵，{0}"),
    "confusion_caption": (
        "{0}: gold types (rows) and the types of the entities that overlap them (columns)",
        "{0}：金标准类别（行）与同其重叠的实体的类别（列）",
    ),
    "nothing_there": ("nothing", "无对应实体"),
    # fusion
    "rule_lead": (
        "Where the two models differ, the SLM wins if 1 − H ≥ λ · exp(P), else the LLM. Here λ = {0}, H is the {1} "
        "entropy of the SLM over the region, P the {2} of the probabilities of {3}{4}.",
        "两模型意见不同之处，若 1 − H ≥ λ · exp(P) 则取小模型，否则取大模型。此处 λ = {0}，"
        "H 为小模型在该区域内熵的{1}，P 为{3}的概率的{2}{4}。",
    ),
    "under": (", under {0}", "（概率取自{0}）"),
    "of_entities": (
        "the LLM's entities there, and its decision to copy on where it put none",
        "大模型在该处所标实体（未标之处则为其继续照抄的决定）",
    ),
    "of_decisions": ("every decision that the LLM took there", "大模型在该处所作每一决定"),
    "unmasked": ("the softmax over the whole vocabulary", "整个词表上的 softmax"),
    "allowed": ("the softmax over the choices that the markup allows", "标记语法所允许的选项上的 softmax"),
    "spans_chosen": (
        "On held-out data a learned rule did better (micro F1 {0} against {1}), and it decides: each entity that "
        "either model puts, or the SLM considers, is judged by itself, by what both models and the training text say "
        "of it, and the most probable ones are taken.",
        "在开发集上，一个经学习得到的规则表现更好（微平均 F1 {0}，上述规则为 {1}），故由它裁决："
        "任一模型所标或小模型所考虑的每个实体，都依据两模型与训练文本所提供的信息单独判断，取其中最可能者。",
    ),
    "custom_chosen": (
        "That is the best rule of its kind, with micro F1 {2} on held-out data; the rule {0} decides, with {1}.",
        "这是此类规则中最好的一个，在开发集上的微平均 F1 为 {2}；作裁决的是规则 {0}，其 F1 为 {1}。",
    ),
    "its_weights": ("Its weights", "其权重"),
    "spans_not_chosen": (
        "A learned rule that judges each entity by itself was fitted too, and not chosen: micro F1 {0} on held-out "
        "data, this rule {1}.",
        "另拟合了一个对每个实体单独判断的学习规则，未被选用：其在开发集上的微平均 F1 为 {0}，上述规则为 {1}。",
    ),
    "baselines": ("Micro F1 on the held-out part, where λ was chosen: {0}.", "选定 λ 所用开发集上的微平均 F1：{0}。"),
    "curve_figure": (
        "Every rule that was tried, over λ. To the far left the SLM wins everywhere, to the far right the LLM.",
        "所试各规则随 λ 的变化。最左端处处取小模型，最右端处处取大模型。",
    ),
    "best_rules": ("The best λ of each rule", "各规则的最优 λ"),
    "evidence": ("Evidence", "依据"),
    "best_lambda": ("Best λ", "最优 λ"),
    "budget": ("What a budget costs", "询问预算的代价"),
    "budget_figure": (
        "On the test sentences: F1 if the LLM is asked only about those where it should change most (gate.share). "
        "The exact gate asks about all those where it could change anything.",
        "测试句上：仅就预计改变最多的句子询问大模型（gate.share）时的 F1。精确门控则询问一切可能有所改变的句子。",
    ),
    "calibration": ("Calibration", "校准"),
    "calibration_note": (
        "Of the entities of the test sentences that were given a score, the share that was right; on the dotted "
        "line, scores mean what they say. The error is the mean distance from it, over ten bins, in points.",
        "测试句中有置信度的实体里正确者所占比例；落在虚线上表示置信度名副其实。误差（ECE）"
        "为十个区间上与虚线的平均距离，以百分点计。",
    ),
    "calibrated_figure": ("{0}, calibrated on held-out sentences", "{0}，以开发集句子校准"),
    "scores_of": ("Scores of", "置信度来自"),
    "error_before": ("Error as they come", "校准前误差"),
    "error_after": ("Error calibrated", "校准后误差"),
    "fused_of": ("fused, {0}", "融合结果，{0}"),
    "known_of": ("What is known of an entity", "实体的特征"),
    "weight": ("Weight", "权重"),
    # conflicts and disagreements
    "conflicts": ("Conflict regions: who was right", "冲突区域：孰是孰非"),
    "regions_lead": (
        "The models differ in {0} regions. The fusion took the right side in {1} of the {2} where one side was "
        "right. Choosing perfectly would have given a micro F1 of {3}.",
        "两模型在 {0} 个区域意见不同。在有一方正确的 {2} 个区域中，融合选对了 {1} 个。若每次都选对，"
        "微平均 F1 可达 {3}。",
    ),
    "slm_right": ("SLM right", "小模型正确"),
    "llm_right": ("LLM right", "大模型正确"),
    "both_wrong": ("neither right", "均不正确"),
    "agree_everywhere": ("The two models agree everywhere.", "两模型处处一致。"),
    "selection": (
        "A selection of {0}, spread over types and outcomes; what is not in dispute is dimmed.",
        "选列 {0} 例，兼顾各类别与各种结果；无争议的部分以淡色显示。",
    ),
    "more_of": ("{0} more", "另有 {0} 例"),
    "judged_singly": (
        "each entity was judged by itself; of the two models {0} was right",
        "逐个实体判断；两模型中正确的是：{0}",
    ),
    "won_right": ("{0} won and was right", "取{0}，正确"),
    "won_wrong": ("{0} won, {1} was right", "取{0}，而{1}正确"),
    "won_neither": ("{0} won, neither was right", "取{0}，两者均不正确"),
    "at": ("at {0}", "位置 {0}"),
    # tagged text
    "samples_lead": (
        "Point at an entity, or focus a passage and step with the arrow keys, to see both models' votes.",
        "将指针移到实体上，或选中段落后用方向键移动，可查看两模型的投票。",
    ),
    "agree_key": ("both agree", "两模型一致"),
    "slm_key": ("SLM decided", "小模型裁决"),
    "llm_key": ("LLM decided", "大模型裁决"),
    # methods and facts
    "methods": ("Methods, to cite", "方法（可供引用）"),
    "settings": ("Settings and the rest", "设置及其他"),
    "everything_else": ("Everything else that the run recorded", "运行所记录的其余一切"),
    "facts_inputs": ("Inputs", "输入"),
    "facts_counts": ("Counts", "数量"),
    "facts_timings": ("Timings", "耗时"),
    "facts_faults": ("Irregularities met", "所遇异常"),
    "facts_versions": ("Versions", "版本"),
    "facts_general": ("General", "概况"),
    # plots
    "other_rules": ("other rules, P of {0}", "其他规则，P 取自{0}"),
    "alone": ("{0} alone", "仅{0}"),
    "chosen_rule": ("chosen rule, λ = {0}", "所选规则，λ = {0}"),
    "lambda_axis": ("λ (the larger, the more the LLM wins)", "λ（越大，取大模型越多）"),
    "micro_axis": ("micro F1, %", "微平均 F1（%）"),
    "lambda_plot": (
        "Micro F1 on held-out data against lambda, for every rule that was tried",
        "开发集上各规则的微平均 F1 随 λ 的变化",
    ),
    "exact_gate": ("exact gate, {0}% of the sentences", "精确门控，{0}% 的句子"),
    "asked_axis": ("sentences that the LLM is asked about, %", "询问大模型的句子比例（%）"),
    "budget_plot": (
        "Micro F1 against the share of sentences that the LLM is asked about",
        "微平均 F1 随询问大模型的句子比例的变化",
    ),
    "ideal": ("as it should be", "理想情形"),
    "entities_size": ("entities (size: how many)", "实体（大小表示数量）"),
    "score_axis": ("score given", "所给置信度"),
    "right_axis": ("share right", "正确比例"),
    "reliability_plot": (
        "{0}: share of entities that were right against the score they were given",
        "{0}：实体的正确比例随所给置信度的变化",
    ),
    "types_plot": ("F1 of each type, with 95% intervals", "各类别的 F1 及 95% 置信区间"),
}

# The values of a fusion rule's settings (`rayner.fusion.region_rule`).
SETTING_TEXTS = {
    "mean": ("mean", "平均值"), "max": ("maximum", "最大值"), "min": ("minimum", "最小值"),
    "product": ("product", "乘积"),
    "entities": ("entities", "实体"), "decisions": ("decisions", "决定"),
}  # fmt: skip
# What the learned rule knows of an entity (`rayner.fusion.span_features.feature_names`), but for lengths and types.
FEATURE_TEXTS = {
    "constant": "常数项", "SLM": "小模型标注", "LLM": "大模型标注", "both": "两模型均标注",
    "SLM otherwise": "小模型另作标注", "LLM otherwise": "大模型另作标注",
    "SLM otherwise, same type": "小模型另作标注，类别相同", "LLM otherwise, same type": "大模型另作标注，类别相同",
    "H mean": "H 平均值", "H max": "H 最大值", "SLM log p min": "小模型 log p 最小值",
    "SLM log p mean": "小模型 log p 平均值", "SLM logit": "小模型 logit", "LLM decisions": "大模型各决定",
    "LLM least decision": "大模型最不确定的决定", "LLM category": "大模型类别概率", "LLM boundary": "大模型边界概率",
    "tagged so": "训练文本中如此标注", "tagged otherwise": "训练文本中另作标注",
    "share of its places tagged so": "其出处中如此标注的比例", "share of its tags": "占其全部标注的比例",
    "never tagged": "训练文本中从未标注",
}  # fmt: skip


def translate(key: str, *given: object) -> BilingualText:
    """A message of the report, or one that it shares with the site. Raises KeyError if there is none."""
    return fill_text(MESSAGES.get(key) or SITE[key], *given)


def translate_setting(value: str) -> BilingualText:
    """The value of a fusion rule's setting in words."""
    return fill_text(SETTING_TEXTS[value]) if value in SETTING_TEXTS else same_in_both(value)


def type_with_gloss(kind: str) -> BilingualText:
    """'NR person', or the bare code of a type without a gloss."""
    return BilingualText(*(f"{kind} {word}" for word in GLOSSES[kind])) if kind in GLOSSES else same_in_both(kind)


def translate_feature(name: str) -> BilingualText:
    """What the learned rule knows of an entity."""
    if name in FEATURE_TEXTS:
        return BilingualText(name, FEATURE_TEXTS[name])
    what, _, which = name.partition(" ")
    return BilingualText(name, f"{'长度' if what == 'length' else '类别'} {which}")
