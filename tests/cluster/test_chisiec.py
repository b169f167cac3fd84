"""Tags in the style of CHisIEC by configuration alone: types PER, LOC, OFI, BOOK, `I-` inside, `E-` at the end.

The sentences are our own. The whole job runs on them, by a command and a file of settings.
"""

import itertools

import pytest
import yaml

from rayner.cli import main
from rayner.config.loading import load_config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.runs.json_files import read_json
from tests.cluster.small import ROOT, rows_of, run_job
from tests.docs.pages import blocks

pytestmark = [pytest.mark.slow, pytest.mark.drill]

NAMES = {
    "PER": ["懷王", "蘇秦", "司馬子長", "張儀", "信陵君", "丙", "范雎"],
    "LOC": ["秦", "咸陽", "上黨郡", "齊", "大梁", "南陽"],
    "OFI": ["相", "大司馬", "御史大夫", "令尹", "郎中"],
    "BOOK": ["詩", "春秋", "左氏春秋", "呂氏春秋"],
}
PATTERNS = (
    ("PER", "自", "LOC", "入", "LOC", "。"),
    ("以", "PER", "為", "OFI", "。"),
    ("PER", "讀《", "BOOK", "》於", "LOC", "。"),
    ("LOC", "人殺", "OFI", "PER", "！"),
    ("歸告", "PER", "曰：「善」。"),
)


def tagged_as(name, kind):
    """The tags of CHisIEC: an end mark, `I-` in between, and `S-` for a character alone."""
    if len(name) == 1:
        return [f"S-{kind}"]
    return [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 2), f"E-{kind}"]


def sentences(take):
    """Lines of `char<TAB>tag`, a sentence after the other."""
    turns = {kind: itertools.cycle(names) for kind, names in NAMES.items()}
    for number in range(take):
        for part in PATTERNS[number % len(PATTERNS)]:
            name = next(turns[part]) if part in turns else part
            tags = tagged_as(name, part) if part in turns else ["O"] * len(name)
            yield from (f"{char}\t{tag}\n" for char, tag in zip(name, tags, strict=True))
        yield "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chisiec")
    lines = [*sentences(150)]
    (folder / "labelled.txt").write_text("".join(lines), encoding="utf-8", newline="")
    (folder / "corpus").mkdir()
    text = "丙讀《左氏春秋》於上黨郡。以信陵君為御史大夫。\n張儀自大梁入秦。"
    (folder / "corpus" / "史.txt").write_text(text, encoding="utf-8", newline="")
    (types,) = [block.text for block in blocks("docs/extending.md") if block.language == "yaml"]
    settings = yaml.safe_load((ROOT / "jobs" / "conf" / "laptop.yaml").read_text(encoding="utf-8"))
    settings["llm"] |= yaml.safe_load(types)["llm"]
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(folder):
    ended = run_job(folder, "--config", "mine.yaml", "run=run", "train=labelled.txt", "corpus=corpus")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "run"


def test_the_settings_are_read(folder):
    assert load_config(folder / "mine.yaml").llm.type_glosses == {
        "PER": "人名",
        "LOC": "地名",
        "OFI": "官職",
        "BOOK": "書名",
    }


def test_the_tags_are_read_as_they_stand(folder):
    found = read_labelled_file(folder / "labelled.txt")
    assert found.faults["no_begin"] == found.faults["no_end"] == 0
    strings = {kind: {found.text[s.start : s.end] for s in found.spans if s.type == kind} for kind in NAMES}
    assert strings == {kind: set(names) for kind, names in NAMES.items()}


def test_the_job_learns_the_four_types_and_tags_text_with_them(done):
    assert read_json(done / "steps/data.json")["result"]["types"] == ["BOOK", "LOC", "OFI", "PER"]
    scores = read_json(done / "evaluation.json")["systems"]["fused"]
    assert set(scores["per_type"]) == set(NAMES)
    assert scores["micro"]["f1"] > 0.9
    found = {(row["text"], row["type"]) for row in rows_of(done / "tagged", "entities")}
    assert found >= {("左氏春秋", "BOOK"), ("上黨郡", "LOC"), ("御史大夫", "OFI"), ("張儀", "PER")}


def test_what_was_tagged_is_exported_and_scored(done, folder, capsys):
    names = folder / "names.yaml"
    names.write_text(next(b.text for b in blocks("docs/labels.md") if "persName" in b.text), encoding="utf-8")
    for form, options in (("tei", ["--tags", str(names)]), ("conll", ["--scheme", "BIOES"]), ("evahan", [])):
        assert main(["export", str(done / "tagged"), "--to", form, str(folder / form), *options]) == 0
    tei = (folder / "tei" / "史.xml").read_text(encoding="utf-8")
    assert all(f"<{element} " in tei for element in ("persName", "placeName", "roleName", "title"))
    conll = (folder / "conll" / "史.conll").read_text(encoding="utf-8")
    assert "左\tB-BOOK\n氏\tI-BOOK\n春\tI-BOOK\n秋\tE-BOOK\n" in conll
    capsys.readouterr()
    assert main(["eval", str(folder / "evahan" / "史.txt"), str(folder / "evahan" / "史.txt")]) == 0
    said = capsys.readouterr().out
    assert all(kind in said for kind in NAMES)
