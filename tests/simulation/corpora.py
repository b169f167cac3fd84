"""The corpora that are tagged: a few short documents, and in some of them segments that a model cannot take."""

from dataclasses import dataclass

from rayner.corpus.corrections.correction import Correction
from tests.simulation.models import LLM_DIES, LLM_RAISES, SLM_DIES, SLM_RAISES

_FIRST = "楚懷王貪而信張儀。遂絕齊使。使如秦受地！張儀詐之曰：儀與王約六里。"
_LONG = (
    "懷王怒。大興師伐秦。秦發兵擊之？楚兵大敗於丹淅。斬首八萬。虜楚將屈匄。遂取楚之漢中地。懷王乃悉發國中兵。"
    "以深入擊秦。戰於藍田。魏聞之！襲楚至鄧。楚兵懼。自秦歸。而齊竟怒不救楚。楚大困。\n"
)
_LAST = "明年。秦割漢中地與楚以和。\r\n楚王曰：不願得地。願得張儀而甘心焉。鄭袖言於懷王。懷王竟聽鄭袖。"


@dataclass(frozen=True)
class Corpus:
    """Texts by file name."""

    texts: dict[str, str]

    def files(self) -> dict[str, bytes]:
        """Return the contents of the files."""
        return {name: text.encode() for name, text in self.texts.items()}


def _corpus(*poison: str) -> Corpus:
    """Make a corpus with segments of these texts, in the middle of different documents."""
    texts = {"一.txt": _FIRST, "空.txt": "", "書/長.txt": _LONG, "書/末.txt": _LAST}
    for name, segment in zip(("書/長.txt", "一.txt", "書/末.txt"), poison, strict=False):
        first = texts[name].index("。") + 1
        texts[name] = texts[name][:first] + segment + texts[name][first:]
    return Corpus(texts)


CORPORA = {
    "clean": _corpus(),
    "slm_raises": _corpus(f"楚人{SLM_RAISES}之。"),
    "slm_dies": _corpus(f"楚人{SLM_DIES}之。"),
    "llm_raises": _corpus(f"楚使懷王{LLM_RAISES}秦人。"),
    "llm_dies": _corpus(f"楚使懷王{LLM_DIES}秦人。"),
    "several": _corpus(f"楚人{SLM_DIES}之。", f"秦使懷王{LLM_DIES}秦人。", f"楚人{SLM_RAISES}之。"),
}


def _correct(doc_id: str, text: str, before: str, after: str, entity_type: str, scope: str) -> Correction:
    start = _corpus().texts[f"{doc_id}.txt"].index(before + text + after) + len(before)
    return Correction(doc_id, start, start + len(text), text, entity_type, scope, before, after)


# What a person corrected in the clean corpus. In the others, some places have moved.
CORRECTIONS = (
    _correct("一", "懷王", "楚", "貪", "NX", "here"),
    _correct("書/長", "楚將屈匄", "虜", "。", "NY", "here"),
    _correct("書/長", "丹淅", "於", "。", "NS", "corpus"),
    _correct("書/末", "楚王", "", "曰", "", "book"),
    _correct("書/末", "張儀", "得", "而", "NX", "corpus"),
)
