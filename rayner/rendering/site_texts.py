"""Everything that the pages say, in English and Chinese; {0}, {1} ... stand for what is filled in."""

from rayner.rendering.bilingual import GLOSSES

MESSAGES: dict[str, tuple[str, str]] = {
    # every page
    "skip": ("Skip to the content", "跳到正文"),
    "site": ("Tagged corpus", "标注语料库"),
    "pages_of_site": ("Pages of the site", "本站页面"),
    "corpus": ("Corpus", "语料"),
    "index": ("Index of entities", "实体索引"),
    "disagreements": ("Disagreements", "分歧"),
    "other_language": ("中文", "English"),
    "made_by": (
        "Made by rayner {0}. All offsets count Unicode code points.",
        "由 rayner {0} 生成。位置均按 Unicode 码位计数。",
    ),
    "no_script": (
        "Search, filters and votes need scripts, which this browser does not run.",
        "搜索、筛选与投票详情需要脚本，而此浏览器未启用脚本。",
    ),
    "you_are_here": ("You are here", "当前位置"),
    "previous": ("Previous", "上一页"),
    "next": ("Next", "下一页"),
    "pages": ("Pages", "分页"),
    "nothing": ("none", "无"),
    # the corpus
    "books": ("Books", "书目"),
    "book": ("Book", "书"),
    "document": ("Document", "文献"),
    "documents": ("Documents", "文献"),
    "characters": ("Characters", "字数"),
    "entities": ("Entities", "实体"),
    "density": ("Per 1,000 characters", "每千字实体数"),
    "types": ("Types", "类别"),
    "type": ("Type", "类别"),
    "share": ("Share", "占比"),
    "no_folder": ("(no folder)", "（无文件夹）"),
    "filter_rows": ("Show only names that contain", "只显示名称包含"),
    "decided_by": ("Decided by", "裁决者"),
    "agree": ("Agreement", "两模型一致"),
    "slm": ("SLM", "小模型"),
    "llm": ("LLM", "大模型"),
    "who_decided": ("Who decided", "由谁裁决"),
    "who_decided_note": (
        "Where the large language model was not asked, because it could hardly have changed the result, the small"
        " tagger decides alone.",
        "在大模型几乎不可能改变结果之处不询问大模型，由小模型单独裁决。",
    ),
    "confidence": ("Confidence", "置信度"),
    "histogram": ("How many entities have which confidence", "各置信度的实体数"),
    "histogram_note": ("Calibrated probability that an entity is right.", "经校准的实体正确概率。"),
    "unscored": ("Entities without a confidence: {0}", "无置信度的实体：{0}"),
    "numbers": ("The numbers", "数据"),
    "from_to": ("{0} to {1}", "{0} 至 {1}"),
    # a document
    "text": ("Text", "正文"),
    "text_keys": (
        "Arrow keys go from entity to entity; Enter keeps its votes open, Escape closes them.",
        "用方向键在实体间移动；回车固定投票详情，Esc 关闭。",
    ),
    "filters": ("Filters", "筛选"),
    "minimum": ("Confidence at least", "置信度至少"),
    "shown_of": ("Shown: {0} of {1} entities", "显示 {0} 个实体，共 {1} 个"),
    "layout": ("Layout", "版式"),
    "vertical": ("Vertical writing", "竖排"),
    "labels": ("Labels of types", "类别标签"),
    "characters_of": ("Characters {0} to {1} of {2}", "第 {0} 至 {1} 字，共 {2} 字"),
    "previous_document": ("Previous document", "上一篇"),
    "next_document": ("Next document", "下一篇"),
    "votes": ("Votes", "投票"),
    "vote": ("Vote", "投票"),
    "entropy": ("Entropy H", "熵 H"),
    "category": ("Probability P", "概率 P"),
    "boundary": ("P of the bounds", "边界概率 P"),
    "both_agree": ("both models agree", "两模型一致"),
    "by_slm": ("decided by the SLM", "由小模型裁决"),
    "by_llm": ("decided by the LLM", "由大模型裁决"),
    "with_confidence": ("confidence {0}", "置信度 {0}"),
    "not_asked": ("not asked", "未询问"),
    "place": ("Place", "位置"),
    "link_here": ("Link to this place", "此处链接"),
    "all_places": ("All places of this name", "此名的所有出处"),
    "close": ("Close", "关闭"),
    "private_use": ("{0}, private use", "{0}，私用区字符"),
    # the index
    "search_names": ("Search names", "搜索名称"),
    "begins": ("begins with", "开头为"),
    "contains": ("contains", "包含"),
    "contains_note": (
        "Reads the whole index: {0} MB",
        "将读取整个索引：{0} MB",
    ),
    "all_types": ("All types", "所有类别"),
    "most_frequent": ("The most frequent names", "最常见的名称"),
    "found": ("Found: {0}", "找到 {0} 个"),
    "reading": ("Reading the index: {0} of {1}", "正在读取索引：{0} / {1}"),
    "not_read": ("A part of the index could not be read: {0}", "索引的一部分无法读取：{0}"),
    "more": ("Show more", "显示更多"),
    "times": ("× {0}", "× {0}"),
    "in_documents": ("documents: {0}", "见于 {0} 篇"),
    "mean_confidence": ("mean confidence {0}", "平均置信度 {0}"),
    "index_lead": (
        "{0} names of {1} entities. Open a name to see where it occurs.",
        "共 {0} 个名称，{1} 个实体。展开名称可查看其出处。",
    ),
    "contexts_note": (
        "The first {0} places are shown in context, the others as offsets.",
        "前 {0} 处附上下文，其余仅列位置。",
    ),
    # the disagreements
    "disagreements_lead": (
        "Both models were asked about {0} of the entities and did not say the same. Here are the {1} most uncertain of"
        " them (at most {2} are kept), the most uncertain first.",
        "有 {0} 个实体两模型均被询问而意见不同。此处列出其中最不确定的 {1} 个（至多保留 {2} 个），最不确定者在前。",
    ),
    "no_disagreements": (
        "Wherever both models were asked, they said the same.",
        "凡两模型均被询问之处，意见一致。",
    ),
    "confusion": ("What each of them said", "两模型各自的判断"),
    "confusion_note": (
        "Entities on which the models differ, by the type that the SLM (rows) and the LLM (columns) gave them; of the"
        " same type twice, they differ in the bounds.",
        "两模型意见不同的实体，按小模型（行）与大模型（列）所给类别统计；类别相同者，边界不同。",
    ),
    "differ_type": ("other type", "类别不同"),
    "differ_bounds": ("other bounds", "边界不同"),
    "only_slm": ("found by the SLM only", "仅小模型找到"),
    "only_llm": ("found by the LLM only", "仅大模型找到"),
    "neither": ("found by neither", "两者均未直接给出"),
} | {f"type_{kind}": said for kind, said in GLOSSES.items()}


def say(key: str, *given: str) -> str:
    """A message in English. Raises KeyError if there is none."""
    return MESSAGES[key][0].format(*given)
