"""Plausible mistakes of new users: each gets its exit code and one message that says the way on."""

import os
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest

from rayner.cli import main
from rayner.runs.progress import log
from tests.tagging.small_run import write_small_run

ROOT = Path(__file__).parents[1]
FILES = {
    "empty.txt": "",
    "unlabelled.txt": "楚\tO\n使\tO\n。\tO\n" * 50,
    "few.txt": "楚\tS-NS\n。\tO\n",
    "no_header.csv": "懷王入秦。,懷王/NR\n",
    "absent.csv": "text,entities\n懷王入秦。,屈原/NR\n",
    "twice.csv": "text,entity,type\n懷王見懷王。,懷王,NR\n",
    "overlap.csv": "text,start,end,type\n懷王入秦。,0,2,NR\n懷王入秦。,1,3,NS\n",
    "broken.jsonl": '{"text": "懷王", "label": [[0, 2, "NR"]]}\n{"text": "懷王"\n',
    "beyond.jsonl": '{"text": "懷王", "label": [[0, 9, "NR"]]}\n',
    "columns.conll": "懷 n B-NR\n王 n E-NR\n。 w O\n",
    "brat.ann": "T1\tNR 0 2\t懷王\n",
    "odd.txt": "懷\tX-NR\n王\tO\n",
    "gold.txt": "懷\tB-NR\n王\tE-NR\n",
    "other.txt": "屈\tB-NR\n原\tE-NR\n",
    "paper.pdf": "%PDF-1.7\n",
    "bad.yaml": "slm: {family: crf\n",
    "key.yaml": "slm:\n  familly: crf\n",
    "mine/notes.txt": "mine",
    "words/a.docx": "PK",
}
RUN = "run laptop run=r train=labels.txt"
DRY = "run laptop --dry-run run=r train="
MISTAKES = (
    ("rnu laptop", "did you mean rayner run?"),
    ("run", "expected a YAML file or one of demo, laptop, "),
    ("run labtop run=r", "did you mean laptop?"),
    ("run missing.yaml run=r", "missing.yaml: expected a YAML file"),
    ("run bad.yaml run=r", r"bad.yaml: .*line 2"),
    ("run key.yaml run=r", "key.yaml:2: unknown key slm.familly; did you mean slm.family?"),
    ("run laptop train=labels.txt", r"expected a run folder \(run=DIR\)"),
    ("run laptop run=r", "train: expected labelled files, found none"),
    ("run laptop run=r train=lables.txt", "did you mean labels.txt?"),
    ("run laptop run=r --train labels.txt", "a setting is written without dashes: train="),
    (f"{RUN} corpus=text", "did you mean texts?"),
    (f"{RUN} corpus texts", "expected key=value, found 'corpus'"),
    (f"{RUN} slm.epoch=3", "command line: unknown key slm.epoch; did you mean slm.epochs?"),
    (f"{RUN} seed=x", "command line: seed: expected int"),
    (f"{RUN} device=gpu", "command line: device: expected one of auto, cpu, cuda"),
    (f"{RUN} split.dev=0.9 split.test=0.5", r"split: expected dev \+ test < 1"),
    (f"{RUN} device=cuda --dry-run", "device: expected a GPU .*set device=cpu"),
    (f"{RUN} corpus=texts corpus.encoding=gb", "corpus.encoding: expected one of .*gb18030"),
    (f"{RUN} corpus=simplified --dry-run", "looks like GB18030: set corpus.encoding=gb18030"),
    (f"{RUN} corpus=words --dry-run", "words: expected files ending in .txt, found none; ignored: 1 .docx"),
    ("run laptop run=labels.txt train=labels.txt", "which is the same as train"),
    ("run laptop run=mine train=labels.txt", "'notes.txt': name another folder"),
    ("run laptop run=texts/r train=labels.txt corpus=texts", "which is inside corpus"),
    (f"{RUN} corpus=texts out=texts/tagged", "which is inside corpus"),
    (f"{DRY}empty.txt", "expected at least one labelled character"),
    (f"{DRY}unlabelled.txt", "expected labelled entities, found none"),
    (f"{DRY}few.txt", "expected enough sentences for a train and a dev part"),
    (f"{DRY}gb.txt", "looks like GB18030: convert it with iconv"),
    (f"{DRY}paper.pdf", "looks like a PDF document"),
    (f"{DRY}paper.docx", "looks like a Word document: save it as plain text"),
    (f"{DRY}no_header.csv", "a spreadsheet with a header that names the columns"),
    (f"{DRY}absent.csv", "absent.csv:2: expected the entity '屈原' in its text"),
    (f"{DRY}twice.csv", "twice.csv:2: expected the offset of '懷王'"),
    (f"{DRY}overlap.csv", "overlap.csv:3: expected entities without overlaps"),
    (f"{DRY}broken.jsonl", "broken.jsonl:2: expected JSON"),
    (f"{DRY}beyond.jsonl", "beyond.jsonl:1: expected an entity inside the 2 characters"),
    (f"{DRY}columns.conll layout=evahan", "use layout=conll"),
    (f"{DRY}brat.ann", "write the text and its entities as JSON lines"),
    (f"{DRY}odd.txt", "odd.txt:1: expected O or PREFIX-TYPE"),
    ("tag traind --text 懷王", r"did you mean \S*trained?"),
    ("tag texts trained", "write rayner tag trained texts"),
    ("tag half --text 懷王", r"`rayner run laptop run=\S*half train=FILE` makes a run"),
    ("tag trained 懷王入秦", "a text follows --text: rayner tag RUN --text 懷王入秦"),
    ("tag trained", "expected one of --text TEXT, files, a folder or -"),
    ("tag trained texts --out mine", "'notes.txt': name another folder"),
    ("eval gold.txt other.txt", "they first differ at offset 0"),
    ("eval gold.txt absent.txt", "absent.txt: expected a file"),
    ("export trained --to tei OUT", "it is a run folder without a tagged corpus"),
    ("export trained --to word OUT", "expected one of evahan, conll, .* found 'word'"),
    ("view traind", r"found nothing of that name; did you mean \S*trained?"),
    ("verify half", "expected a tagged corpus .*found no documents"),
    ("status half", "found no status.json"),
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    labels = (ROOT / "sample" / "labelled.txt").read_text(encoding="utf-8")
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    (folder / "gb.txt").write_text(labels, encoding="gb18030")
    (folder / "half").mkdir()
    (folder / "simplified").mkdir()
    (folder / "simplified" / "a.txt").write_text("楚使怒去，歸告懷王，懷王入秦。", encoding="gb18030")
    with zipfile.ZipFile(folder / "paper.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    shutil.copytree(ROOT / "sample" / "corpus", folder / "texts")
    write_small_run(folder / "trained")
    return folder


@pytest.mark.parametrize(("command", "message"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_ends_with_2_and_one_message_that_says_the_way_on(desk, command, message, monkeypatch, capsys):
    for attribute in ("handlers", "level", "propagate"):  # a job changes the log of its process
        monkeypatch.setattr(log, attribute, getattr(log, attribute))
    monkeypatch.chdir(desk)
    before = sorted(desk.rglob("*"))
    try:
        with patch.dict(os.environ):  # likewise its environment
            code = main(shlex.split(command))
    except SystemExit as ended:
        code = ended.code
    *log_lines, last = capsys.readouterr().err.strip().splitlines()
    assert code == 2, (log_lines, last)
    assert re.search(message, last)
    assert "Traceback" not in "".join(log_lines)
    assert sorted(desk.rglob("*")) == before
