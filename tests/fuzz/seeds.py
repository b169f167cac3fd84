"""Valid inputs of each target, from which broken ones are made."""

import dataclasses
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from rayner.config.settings import Config, config_to_dict
from rayner.corpus.exports import format_evahan_lines
from rayner.corpus.review.candidates import ReviewCandidate
from rayner.corpus.review.selection import ChosenSentences
from rayner.corpus.review.task_files import write_review_folder
from rayner.runs.status import JobStatus
from rayner.text.markup import spans_to_markup
from rayner.text.spans import Span
from rayner.text.tags import spans_to_tags
from tests.corpus.difficult_texts import SPANS, TEXT
from tests.corpus.labels.test_recognition import FILES
from tests.corpus.tagged_corpora import SCHEMAS, document, entity

SPLIT = b"\x1d=\x1d"  # between the files of an input that is several
_PLAIN = "楚使懷王入秦。\n𠀀<見>&之！"
_ENTITIES = (Span(0, 1, "NG"), Span(2, 4, "NR"), Span(5, 6, "NG"), Span(8, 9, "NR"))


def _lines(text: str, spans: list[Span] | tuple[Span, ...]) -> bytes:
    return "".join(f"{line}\n" for line in format_evahan_lines(text, spans)).encode()


def evahan_file() -> list[bytes]:
    plain = _lines(_PLAIN, _ENTITIES)
    others = ["\ufeff楚\tI-NG\r\n使\tO\r\n", "\ufeff\tO\n\t\tB-NR\n\u2028\tM-NR\n\n\n \tE-NR", "楚\tM-NG\n國\tB-NG\n\n"]
    return [plain, _lines(TEXT, SPANS), *(other.encode() for other in others)]


def conll_file() -> list[bytes]:
    inputs = [
        "楚 x B-NG\n懷王 x I-NG\n\n-DOCSTART- -X- O\n\t\n入 x O\n",
        "\ufeff楚國\tS-NG\r\n\u3000\tO\r\n",
        "&\tS-NR\n",
    ]
    return [text.encode() for text in inputs]


def labelled_file() -> list[bytes]:
    """Of each layout that is read."""
    return [content if isinstance(content, bytes) else content.encode() for content in FILES.values()]


def evaluation() -> list[bytes]:
    gold = _lines(_PLAIN, _ENTITIES)
    return [gold + SPLIT + _lines(_PLAIN, _ENTITIES[1:]), gold + SPLIT + gold, gold + SPLIT + _lines(_PLAIN, ())]


def text_file() -> list[bytes]:
    return [TEXT.encode(), _PLAIN.encode(), "\ufeff楚\r\n".encode(), b""]


def sentence_split() -> list[bytes]:
    return [*text_file(), "「善！」』。。？\r\n\r\r\n。楚".encode()]


def llm_markup() -> list[bytes]:
    return [
        spans_to_markup(_PLAIN, _ENTITIES).encode(),
        spans_to_markup(TEXT, SPANS).encode(),
        b"",
        b"<NR>x</NR><NS>&lt;</NS>",
    ]


def grammar_answer() -> list[bytes]:
    return [
        bytes([n, *range(n), *pattern]) for n in (0, 1, 4, 7) for pattern in ([0, 1, 0], [1, 0, 1, 2], [0, 1, 2, 3])
    ]


def free_answer() -> list[bytes]:
    tagged = spans_to_markup(_PLAIN, _ENTITIES)
    others = ["", "<NR>楚", "答：<NS>楚</NR></NS>", "<人名>楚</人名>\n句："]
    return [f"{_PLAIN}\n{answer}".encode() for answer in (tagged, tagged[2:], *others)]


def tag_sequence() -> list[bytes]:
    legal = " ".join(spans_to_tags(_ENTITIES, len(_PLAIN)))
    return [legal.encode(), b"B-NR I-NR O L-NS U-NS W-T I-T", b"M-NR E-NS B-NR", b""]


def settings_file() -> list[bytes]:
    paths = sorted((Path(__file__).parents[2] / "jobs" / "conf").glob("*.yaml"))
    return [
        *(path.read_bytes() for path in paths),
        b"llm: {type_glosses: {NR: x, 1: ~}}\ntrain: a,b\nslm: {lr: 1e-3, epochs: 2}\n",
    ]


def setting_overrides() -> list[bytes]:
    values = config_to_dict(Config())
    return [
        b"run=runs/mine\ntrain=a.txt,b.txt\nslm.epochs=3\nslm.lr=1e-3\nseed=16",
        b"llm.type_glosses.NR=x\ndatasets.A=a.txt\nout=null\ngate={share: 0.5}\nllm.workers.count=2",
        b"slm.crf.clusters=[\"8\", '16']\nslm.family=crf\nindex.encoder=ngrams",
        "\n".join(f"{key}={json.dumps(value)}" for key, value in values.items() if key != "slm").encode(),
    ]


def type_names_file() -> list[bytes]:
    return [b'NR: persName\n"NO": roleName\n', "NS: 地名\nT: a date\nNB: 2's title\n".encode()]


def _review(to: str, name: str) -> tuple[bytes, bytes]:
    spans = (Span(0, 2, "NR"), Span(3, 4, "NS"))
    texts = [("懷王入秦。", spans), ("𠀀見\u2028之\r！", (Span(0, 1, "NR"),)), ("善", ())]
    candidates = [ReviewCandidate("書", 10 * i, 10 * i + len(t), t, own, ()) for i, (t, own) in enumerate(texts)]
    with TemporaryDirectory() as folder:
        write_review_folder(ChosenSentences(candidates, ("NR", "NS")), Path(folder), to)
        return Path(folder, "provenance.json").read_bytes(), Path(folder, name).read_bytes()


def char_tab_tag_review() -> list[bytes]:
    return [SPLIT.join(_review("evahan", "sentences.txt"))]


def label_studio_review() -> list[bytes]:
    side_car, written = _review("label-studio", "tasks.json")
    tasks = json.loads(written)
    for task in tasks:
        task["annotations"] = [{"was_cancelled": False, "result": task["predictions"][0]["result"]}]
    units = json.loads(json.dumps(tasks))  # in UTF-16 code units
    value = {"start": 0, "end": 2, "text": "𠀀", "labels": ["NS"]}
    units[1]["annotations"] = [{"result": [{"type": "labels", "value": value}]}, {"was_cancelled": True}]
    forms = [json.dumps(tasks), json.dumps(tasks, ensure_ascii=False), json.dumps(units), json.dumps(units[1:2])]
    return [side_car + SPLIT + form.encode() for form in forms]


def status_file() -> list[bytes]:
    full = JobStatus(
        "tag", "host", 7, 1e9, 1e9 + 60, 5.0, "running", 2, 7, "tag", "tag", 10, 90, "units", 2.5, 32.0, "no"
    )
    return [
        json.dumps(dataclasses.asdict(full)).encode(),
        b'{"job":"a","host":"b","pid":1,"started":0,"updated":1,"every":5}',
    ]


def _parquet(rows: list[dict[str, object]], schema: pa.Schema) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="none", use_dictionary=False)
    return out.getvalue()


def tagged_tables() -> list[bytes]:
    """Not compressed, so that a changed byte may be a changed value."""
    entities = [
        entity("a", 2, "懷王"),
        entity("a", 5, "秦", "NG") | {"score": 0.5, "slm_type": "NG", "slm_entropy": 0.1},
    ]
    segment = {"doc_id": "a", "start": 0, "end": 7, "gated": False, "passes": 1, "error": None}
    rows = [[document("a", "楚使懷王入秦。"), document("b", "")], entities, [segment]]
    return [SPLIT.join(_parquet(own, schema) for own, schema in zip(rows, SCHEMAS.values(), strict=True))]
