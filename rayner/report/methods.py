"""What was done, in the words of a methods section in both languages, with the very settings of the run."""

from collections.abc import Mapping
from typing import Any

from rayner.rendering.bilingual import BilingualText, fill_text, join_texts, same_in_both
from rayner.rendering.report_texts import translate_setting
from rayner.rendering.templates import format_value

_SCRATCH = "scratch"
MESSAGES: dict[str, tuple[str, str]] = {
    "data": (
        "Labelled text was divided by distinct sentence (seed {0}) into {1}, {2}, {3}.",
        "有标注的文本按去重后的句子（随机种子 {0}）划分为{1}、{2}与{3}。",
    ),
    "train": ("{0} training sentences ({1} entities)", "训练集 {0} 句（{1} 个实体）"),
    "dev": ("{0} held-out sentences ({1} entities)", "开发集 {0} 句（{1} 个实体）"),
    "test": ("{0} test sentences ({1} entities)", "测试集 {0} 句（{1} 个实体）"),
    "crf": (
        "The small model is a conditional random field over characters{0} (L1 {1}, L2 {2}, at most {3} iterations of "
        "L-BFGS).",
        "小模型为以字为单位的条件随机场（L1 {1}，L2 {2}，L-BFGS 至多迭代 {3} 次）{0}。",
    ),
    "clusters": (
        ", with {0} clusters of characters from unlabelled text",
        "，并使用由无标注文本得到的字聚类（{0} 类）",
    ),
    "and": (" and ", " 与 "),
    "encoder": (
        "The small model is {0}, fine-tuned for {1} epochs (batches of {2}, peak learning rate {3}); the epoch with "
        "the highest F1 on the held-out sentences was kept.",
        "小模型为{0}，微调 {1} 轮（批大小 {2}，峰值学习率 {3}），保留开发集 F1 最高的一轮。",
    ),
    "custom_tagger": ("The small model is a tagger of our own ({0}).", "小模型为自行编写的标注模型（{0}）。"),
    "encoder_scratch": ("an encoder made from scratch", "从头训练的编码器"),
    "encoder_named": ("the encoder {0}", "编码器 {0}"),
    "decoder": (
        "The large model is {0}{1}; its prompt holds {2}. It copies the sentence with tags, under constrained "
        "decoding.",
        "大模型为{0}{1}；提示中{2}。它在约束解码下照抄句子并加入标记。",
    ),
    "decoder_scratch": ("a decoder made from scratch", "从头训练的解码器"),
    "decoder_named": ("the language model {0}", "语言模型 {0}"),
    "trained": (", trained {0} in batches of {1}", "，{0}，批大小 {1}"),
    "not_tuned": (", not fine-tuned", "，未经微调"),
    "full": ("for {0} with all parameters (peak learning rate {1})", "全参数训练{0}（峰值学习率 {1}）"),
    "lora": ("for {0} by LoRA (rank {1}, alpha {2}, {3})", "以 LoRA 微调{0}（秩 {1}，alpha {2}，峰值学习率 {3}）"),
    "one_epoch": ("one epoch", "一轮"),
    "epochs": ("{0} epochs", " {0} 轮"),
    "similar": ("the {0} most similar training sentences", "附有最相似的 {0} 个训练句作为示例"),
    "fixed": ("{0} fixed training sentences", "附有 {0} 个固定的训练句作为示例"),
    "none": ("no examples", "不含示例"),
    "fitted": ("{0}, fitted on {1}.", "{0}；该规则在{1}上拟合。"),
    "held_out": ("held-out sentences", "开发集句子"),
    "cross_fitted": (
        "held-out sentences and, by {0}-fold cross-fitting, on the training sentences",
        "开发集句子以及（按 {0} 折交叉拟合）训练句",
    ),
    "spans": (
        "Each entity that either model proposes was accepted or not by a logistic rule on both models' probabilities "
        "and the training lexicon",
        "任一模型提出的每个实体，由以两模型的概率及训练词表为特征的逻辑回归规则决定取舍",
    ),
    "regions": (
        "Where the two differ, the small model wins if 1 - H >= lambda exp(P), with lambda = {0}, H reduced by {1} "
        "and P by {2} of {3}",
        "两模型意见不同之处，若 1 - H >= lambda exp(P) 则取小模型，其中 lambda = {0}，H 取{1}，"
        "P 取大模型各{3}概率的{2}",
    ),
    "custom_rule": (
        "Where the two differ, a rule of our own ({0}) decided",
        "两模型意见不同之处，由自行编写的规则（{0}）裁决",
    ),
    "scores": (
        "Strict micro F1 on the test sentences, in percent with 95% bootstrap intervals: {0}, {1}, {2}.",
        "测试集上命名实体识别的严格微平均 F1（%，括号内为自助法 95% 置信区间）：{0}，{1}，{2}。",
    ),
    "slm": ("small {0} ({1} to {2})", "小模型 {0}（{1} 至 {2}）"),
    "llm": ("large {0} ({1} to {2})", "大模型 {0}（{1} 至 {2}）"),
    "fused": ("fused {0} ({1} to {2})", "融合 {0}（{1} 至 {2}）"),
    "corpus": (
        "The corpus of {0} documents ({1} characters, {2} sentences) received {3} entities; the large model was "
        "skipped for {4}% of the sentences and {5} were set aside.",
        "所标注的语料共 {0} 篇（{1} 字，{2} 句），得到 {3} 个实体；{4}% 的句子未询问大模型，{5} 句被搁置。",
    ),
    "software": ("Software: {0}.", "软件：{0}。"),
}


def compose_methods_paragraph(
    run_facts: Mapping[str, Any], fusion: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> BilingualText | None:
    """A few sentences to cite, or None where the run did not record its settings.

    about: as `pipeline.json` holds it; fusion: `fusion.json`; evaluation: `evaluation.json`, {} without test sentences.
    """
    config = run_facts.get("config")
    if not config or not fusion or "labelled" not in run_facts.get("counts", {}):
        return None
    said = [_data(run_facts, config), _small(config["slm"]), _large(config), _fusion(fusion, config)]
    return join_texts([*said, *_scores(evaluation), *_tagged(run_facts, config), *_versions(run_facts)], " ", "")


def _say(key: str, *given: object) -> BilingualText:
    return fill_text(MESSAGES[key], *given)


def _data(about: Mapping[str, Any], config: Mapping[str, Any]) -> BilingualText:
    parts = about["counts"]["labelled"]
    told = (
        _say(name, format_value(parts[name]["sentences"]), format_value(parts[name]["entities"]))
        for name in ("train", "dev", "test")
    )
    return _say("data", config["seed"], *told)


def _small(slm: Mapping[str, Any]) -> BilingualText:
    if slm["family"] == "crf":
        crf = slm["crf"]
        seen = (
            _say("clusters", join_texts(map(same_in_both, crf["clusters"]), *MESSAGES["and"]))
            if crf["unlabelled"]
            else ""
        )
        return _say("crf", seen, crf["c1"], crf["c2"], crf["iterations"])
    if slm["family"] != "encoder":
        return _say("custom_tagger", slm["family"])
    model = _say("encoder_scratch") if slm["model"] == _SCRATCH else _say("encoder_named", slm["model"])
    return _say("encoder", model, slm["epochs"], slm["batch_size"], f"{slm['lr']:g}")


def _large(config: Mapping[str, Any]) -> BilingualText:
    llm = config["llm"]
    model = _say("decoder_scratch") if llm["model"] == _SCRATCH else _say("decoder_named", llm["model"])
    trained = []
    if llm["full_epochs"]:
        trained.append(_say("full", _epochs(llm["full_epochs"]), f"{llm['full_lr']:g}"))
    if llm["epochs"]:
        lora = llm["lora"]
        trained.append(_say("lora", _epochs(llm["epochs"]), lora["r"], lora["alpha"], f"{llm['lr']:g}"))
    how = _say("trained", join_texts(trained, " and ", "，再"), llm["batch_size"]) if trained else _say("not_tuned")
    return _say("decoder", model, how, _say(llm["examples"], config["index"]["k"]))


def _epochs(n: int) -> BilingualText:
    return _say("one_epoch") if n == 1 else _say("epochs", n)


def _fusion(fusion: Mapping[str, Any], config: Mapping[str, Any]) -> BilingualText:
    folds = config["split"]["folds"]
    where = _say("cross_fitted", folds) if folds else _say("held_out")
    if fusion["chosen"] == "spans":
        return _say("fitted", _say("spans"), where)
    if fusion["chosen"] != "regions":
        return _say("fitted", _say("custom_rule", fusion["chosen"]), where)
    rule = fusion["rule"]
    reduced = (translate_setting(rule[key]) for key in ("entropy_reduction", "llm_reduction", "llm_confidence"))
    return _say("fitted", _say("regions", f"{rule['weight']:.4g}", *reduced), where)


def _scores(evaluation: Mapping[str, Any]) -> list[BilingualText]:
    if not evaluation:
        return []
    told = []
    for key in ("slm", "llm", "fused"):
        system = evaluation["systems"][key]
        told.append(_say(key, *(f"{100 * value:.2f}" for value in (system["micro"]["f1"], *system["interval"]))))
    return [_say("scores", *told)]


def _tagged(about: Mapping[str, Any], config: Mapping[str, Any]) -> list[BilingualText]:
    counts = about["counts"]
    if not config["corpus"] or "segments" not in counts:
        return []
    skipped = 100 * counts["gated"] / max(1, counts["segments"])
    told = [format_value(counts[key]) for key in ("documents", "characters", "segments", "entities")]
    return [_say("corpus", *told, f"{skipped:.1f}", format_value(counts["set_aside"]))]


def _versions(about: Mapping[str, Any]) -> list[BilingualText]:
    versions = about.get("versions", {})
    return [_say("software", ", ".join(f"{name} {number}" for name, number in versions.items()))] if versions else []
