"""Names of the features of the learned rule, in English and Chinese."""

# Features of the learned rule (`rayner.fusion.learned.span_features.feature_names`) and their Chinese names.
FEATURE_NAMES = {
    "constant": "常数项",
    "SLM": "小模型标注",
    "LLM": "大模型标注",
    "both": "两模型均标注",
    "SLM otherwise": "小模型另作标注",
    "LLM otherwise": "大模型另作标注",
    "SLM otherwise, same type": "小模型另作标注，类别相同",
    "LLM otherwise, same type": "大模型另作标注，类别相同",
    "H mean": "H 平均值",
    "H max": "H 最大值",
    "SLM log p min": "小模型 log p 最小值",
    "SLM log p mean": "小模型 log p 平均值",
    "SLM logit": "小模型 logit",
    "LLM decisions": "大模型各决定",
    "LLM least decision": "大模型最不确定的决定",
    "LLM category": "大模型类别概率",
    "LLM boundary": "大模型边界概率",
    "tagged so": "训练文本中如此标注",
    "tagged otherwise": "训练文本中另作标注",
    "share of its places tagged so": "其出处中如此标注的比例",
    "share of its tags": "占其全部标注的比例",
    "never tagged": "训练文本中从未标注",
    "length": "长度",
    "type": "类别",
}
