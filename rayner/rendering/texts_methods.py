"""Texts of the report's methods paragraph, in English and Chinese. Values replace {0}, {1} ... in a text."""

METHODS_TEXTS: dict[str, tuple[str, str]] = {
    "methods_space": (" ", ""),
    "methods_data": (
        "Labelled text was split by {0} (seed {1}) into {2}, {3} and {4}.",
        "有标注的文本按{0}（随机种子 {1}）划分为{2}、{3}与{4}。",
    ),
    "methods_by_document": ("document", "文档"),
    "methods_by_block": ("block of consecutive sentences", "连续句子组成的段落"),
    "methods_by_sentence": ("distinct sentence", "去重后的句子"),
    "methods_train": ("{0} training sentences ({1} entities)", "训练集 {0} 句（{1} 个实体）"),
    "methods_dev": ("{0} held-out sentences ({1} entities)", "开发集 {0} 句（{1} 个实体）"),
    "methods_test": ("{0} test sentences ({1} entities)", "测试集 {0} 句（{1} 个实体）"),
    # the small model
    "methods_crf": (
        "The small model is a conditional random field over characters{0} (L1 {1}, L2 {2}, at most {3} iterations of "
        "L-BFGS).",
        "小模型为以字为单位的条件随机场（L1 {1}，L2 {2}，L-BFGS 至多迭代 {3} 次）{0}。",
    ),
    "methods_clusters": (
        " with {0} character clusters from unlabelled text",
        "，并使用由无标注文本得到的字聚类（{0} 类）",
    ),
    "methods_and": (" and ", " 与 "),
    "methods_encoder": (
        "The small model is {0}, fine-tuned for {1} epochs (batch size {2}, peak learning rate {3}). The epoch with "
        "the highest F1 on the held-out sentences was kept.",
        "小模型为{0}，微调 {1} 轮（批大小 {2}，峰值学习率 {3}），保留开发集 F1 最高的一轮。",
    ),
    "methods_encoder_scratch": ("an encoder trained from scratch", "从头训练的编码器"),
    "methods_encoder_named": ("the encoder {0}", "编码器 {0}"),
    "methods_custom_tagger": ("The small model is a custom tagger ({0}).", "小模型为自行编写的标注模型（{0}）。"),
    # the large model
    "methods_decoder": (
        "The large model is {0}{1}. Its prompt contains {2}. {3}",
        "大模型为{0}{1}；提示中{2}。{3}",
    ),
    "methods_decoding_automaton": (
        "It copies the sentence and inserts tags, under constrained decoding.",
        "它在约束解码下照抄句子并加入标记。",
    ),
    "methods_decoding_free": (
        "It writes the sentence with tags, without constraints; the answer was then aligned with the sentence.",
        "它不受约束地写出加有标记的句子，其回答随后与原句对齐。",
    ),
    "methods_decoder_scratch": ("a decoder trained from scratch", "从头训练的解码器"),
    "methods_decoder_named": ("the language model {0}", "语言模型 {0}"),
    "methods_fine_tuned": (", trained {0} (batch size {1})", "，{0}，批大小 {1}"),
    "methods_not_fine_tuned": (", not fine-tuned", "，未经微调"),
    "methods_then": (" and then ", "，再"),
    "methods_all_parameters": (
        "for {0} with all parameters (peak learning rate {1})",
        "全参数训练{0}（峰值学习率 {1}）",
    ),
    "methods_lora": (
        "for {0} by LoRA (rank {1}, alpha {2}, peak learning rate {3})",
        "以 LoRA 微调{0}（秩 {1}，alpha {2}，峰值学习率 {3}）",
    ),
    "methods_one_epoch": ("one epoch", "一轮"),
    "methods_epochs": ("{0} epochs", " {0} 轮"),
    "methods_examples_similar": (
        "the {0} most similar training sentences as examples",
        "附有最相似的 {0} 个训练句作为示例",
    ),
    "methods_examples_fixed": ("{0} fixed training sentences as examples", "附有 {0} 个固定的训练句作为示例"),
    "methods_examples_none": ("no examples", "不含示例"),
    "methods_hint_tags": (", and the sentence as the small model tagged it", "，并附有小模型对该句的标注"),
    "methods_hint_confidence": (
        ", and the sentence as the small model tagged it, with its confidence in each entity",
        "，并附有小模型对该句的标注及其对各实体的把握",
    ),
    # the fusion
    "methods_fitted": ("{0} The rule was fitted on {1}.", "{0}该规则在{1}上拟合。"),
    "methods_held_out": ("held-out sentences", "开发集句子"),
    "methods_cross_fitted": (
        "held-out sentences and, by {0}-fold cross-fitting, on the training sentences",
        "开发集句子以及（按 {0} 折交叉拟合）训练句",
    ),
    "methods_spans": (
        "The entities of both models were fused by a learned rule: a logistic regression on both models' probabilities "
        "and a lexicon of the training text accepts or rejects each candidate entity.",
        "两模型的实体由学习得到的规则融合：以两模型的概率及训练文本的词表为特征的逻辑回归决定每个候选实体的取舍。",
    ),
    "methods_candidates": (
        "The large model was asked about every candidate, whether it had predicted the candidate or not.",
        "每个候选实体，无论大模型是否标注，均询问其概率。",
    ),
    "methods_characters": (
        "The tags of both models were fused character by character: where they differ, the small model wins if "
        "1 - H >= lambda exp(P), with lambda = {0}. H is its entropy, and P the category probability of the large "
        "model's entity if the types differ, or its boundary probability if only the extent differs. Illegal sequences "
        "of tags were repaired.",
        "两模型的标签逐字融合：二者不同之处，若 1 - H >= lambda exp(P) 则取小模型，其中 lambda = {0}，H 为小模型的熵，"
        "P 在类别不同时取大模型实体的类别概率，仅边界不同时取其边界概率。不合法的标签序列已修正。",
    ),
    "methods_regions": (
        "The entities of both models were fused by conflict regions: in each region where they differ, the small model "
        "wins if 1 - H >= lambda exp(P), with lambda = {0}, H reduced by {1} and P by {2} of {3}.",
        "两模型的实体按冲突区域融合：在两模型意见不同的每个区域，"
        "若 1 - H >= lambda exp(P) 则取小模型，其中 lambda = {0}，H 取{1}，P 取大模型各{3}概率的{2}。",
    ),
    "methods_custom_rule": (
        "The entities of both models were fused by a custom rule ({0}).",
        "两模型的实体由自行编写的规则（{0}）融合。",
    ),
    # results
    "methods_scores": (
        "Strict micro F1 on the test sentences, in percent with 95% bootstrap intervals: {0}, {1}, {2}.",
        "测试集上命名实体识别的严格微平均 F1（%，括号内为自助法 95% 置信区间）：{0}，{1}，{2}。",
    ),
    "methods_worth": (
        "A control, the same kind of fusion fitted anew with every answer of the large model empty, reached {0}. So "
        "the large model is worth {1} points (paired 95% interval {2} to {3}).",
        "作为对照，以空回答代替大模型的全部回答、重新拟合的同类融合得 {0}；"
        "因此大模型的贡献为 {1} 个百分点（配对 95% 置信区间 {2} 至 {3}）。",
    ),
    "methods_score_slm": ("small model {0} ({1} to {2})", "小模型 {0}（{1} 至 {2}）"),
    "methods_score_llm": ("large model {0} ({1} to {2})", "大模型 {0}（{1} 至 {2}）"),
    "methods_score_fused": ("fused {0} ({1} to {2})", "融合 {0}（{1} 至 {2}）"),
    "methods_corpus": (
        "The tagged corpus has {0} documents ({1} characters, {2} sentences) and {3} entities. The large model was not "
        "asked about {4}% of the sentences. {5} sentences were set aside because tagging them failed.",
        "所标注的语料共 {0} 篇（{1} 字，{2} 句），得到 {3} 个实体；{4}% 的句子未询问大模型，{5} 句因标注失败而被搁置。",
    ),
    "methods_software": ("Software: {0}.", "软件：{0}。"),
}
