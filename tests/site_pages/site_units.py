"""A small tagged corpus with characters, sizes and names that can break a page."""

from tests.corpus.tagged_corpora import document, entity, write_unit

# BMP and plane 15 private use, beyond the BMP, a variation selector, markup, white space and line ends of all kinds.
NASTY = (
    "楚懷王\ue000使\U000f0001屈原\U00020bb7之\U000e0100齊。</div><script>alert(1)</script>&amp;&lt;"
    "\t甲\r乙\r\n丙\u2028丁\u0085戊\u0000己\u3000\u00a0庚\n\n"
)
LONG = "".join(f"第{i:04d}王使人之秦，秦人去矣。" + ("\n" if i % 9 == 8 else "") for i in range(1500))
HOSTILE = "<script>alert(2)</script>&\"'"
SEGMENT = {"gated": False, "passes": 1, "error": None}


def voted(doc_id, start, text, type_name="NR", **columns):
    """Return an entity row with votes; by default both models agree on it."""
    votes = {
        "score": 0.9,
        "decided_by": "agree",
        "slm_type": type_name,
        "slm_entropy": 0.125,
        "llm_type": type_name,
        "llm_category_prob": 0.75,
        "llm_boundary_prob": 0.5,
    }
    return entity(doc_id, start, text, type_name) | votes | columns


ALONE = {"decided_by": "slm", "llm_type": None, "llm_category_prob": None, "llm_boundary_prob": None}
NASTY_ID, LONG_ID = "史/nasty", "史/長"


def write_corpus(folder):
    """Write documents 0 (nasty), 1 (long), 2 (in no folder), 3 (empty), 4 (hostile names); return their entity rows."""
    offset = NASTY.index
    nasty = [
        voted(NASTY_ID, 0, "楚", "NG"),
        voted(NASTY_ID, 1, "懷王\ue000", score=0.4, decided_by="llm", slm_type=None),
        voted(NASTY_ID, offset("\U000f0001"), "\U000f0001屈原", score=0.2, decided_by="slm", llm_type="NS"),
        voted(NASTY_ID, offset("\U00020bb7"), "\U00020bb7之\U000e0100", "<b>", score=0.95),
        voted(NASTY_ID, offset("<script>"), "<script>", "NB", score=0.7),
        voted(NASTY_ID, offset("己"), "己", "T", score=None),
        voted(NASTY_ID, offset("庚"), "庚", score=0.85, **ALONE),
    ]
    long = [
        voted(LONG_ID, i, LONG[i : i + 1], "NG", score=0.5 + (i % 97) / 200, **ALONE)
        for i in range(len(LONG))
        if LONG[i] == "秦"
    ]
    alone = [voted("獨", 0, "屈原", decided_by="slm", score=0.3, llm_type=None, llm_category_prob=None)]
    hostile_id = f"史/{HOSTILE}"
    hostile = [voted(hostile_id, 0, HOSTILE, HOSTILE, decided_by="llm", score=0.35, slm_type="NR")]
    write_unit(
        folder,
        "unit-0.parquet",
        [document(NASTY_ID, NASTY), document(LONG_ID, LONG)],
        [*nasty, *long[:2000]],
        [
            {"doc_id": NASTY_ID, "start": 0, "end": offset("庚"), **SEGMENT},
            {"doc_id": NASTY_ID, "start": offset("庚"), "end": len(NASTY), **SEGMENT, "gated": True, "passes": 0},
            {"doc_id": LONG_ID, "start": 0, "end": 100, **SEGMENT, "error": "too long"},
        ],
    )
    write_unit(
        folder,
        "unit-1.parquet",
        [document("獨", "屈原既放。"), document("空", ""), document(hostile_id, HOSTILE)],
        [*long[2000:], *alone, *hostile],
        [
            {"doc_id": LONG_ID, "start": 100, "end": len(LONG), **SEGMENT, "gated": True, "passes": 0},
            {"doc_id": "獨", "start": 0, "end": 5, **SEGMENT},
        ],
    )
    return [nasty, long, alone, [], hostile]
