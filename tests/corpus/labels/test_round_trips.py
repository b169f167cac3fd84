"""What rayner exports is recognised and read back: for each format that is both written and read."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.exports import EXPORT_FORMATS
from rayner.corpus.labelled_files import read_labelled_file
from rayner.errors import DataError
from tests.corpus.difficult_texts import SPANS, TEXT, tagged_texts
from tests.corpus.labels.conftest import texts_and_entities
from tests.corpus.test_exports_formats import exported
from tests.strategies import at_most

LAYOUTS = ("evahan", "conll", "jsonl", "tei", "markup", "label-studio")


def without_line_breaks(text, spans, pattern):
    """What a file with a line for each character holds: line breaks become blank lines, which are no characters."""
    kept, moved = [], []
    breaks = {i for match in re.finditer(pattern, text) for i in range(*match.span())}
    if pattern == "\n":  # of CoNLL columns, which write a line break inside an entity
        breaks -= {i for s in spans for i in range(s.start, s.end)}
    for i, char in enumerate(text):
        moved.append(len(kept))
        kept += [] if i in breaks else [char]
    moved.append(len(kept))
    entities = [(kept[moved[s.start] : moved[s.end]], s.type) for s in spans]
    return "".join(kept), [("".join(chars), name) for chars, name in entities if chars]


def expected_text(layout, text, spans):
    if layout in ("evahan", "conll"):
        return without_line_breaks(text, spans, {"evahan": r"\r?\n", "conll": "\n"}[layout])
    return text, [(text[s.start : s.end], s.type) for s in spans]


def label(data):
    """Take the predictions of Label Studio's tasks for annotations that somebody submitted."""
    tasks = json.loads(data)
    return json.dumps([{**task, "annotations": task["predictions"]} for task in tasks]).encode()


def read_back(folder, layout, text, spans, **options):
    files, _ = exported({"d": (text, spans)}, layout, **options)
    [data] = [data for name, data in files.items() if not name.endswith("config.xml")]
    path = folder / "exported"
    path.write_bytes(label(data) if layout == "label-studio" else data)
    return read_labelled_file(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_nasty_text_comes_back(tmp_path, layout):
    labelled = read_back(tmp_path, layout, TEXT, SPANS)
    assert texts_and_entities(labelled) == [expected_text(layout, TEXT, SPANS)]
    assert labelled.layout == layout
    if layout not in ("evahan", "conll"):
        assert labelled.spans == tuple(SPANS)


OTHERS = {
    "webanno": ("d.tsv", "looks like WebAnno TSV"),
    "brat": ("d.ann", "looks like brat's standoff annotations (.ann)"),
    "hf": ("data/part-00000.parquet", "looks like a Parquet file"),
    "docusky": ("part-00000.xml", "looks like DocuXml of DocuSky"),
    "markus": ("d.html", "looks like MARKUS (HTML)"),
    "csv": ("part-00000.csv", "rayner's CSV export"),
}


def test_every_export_is_read_back_or_refused_by_name(tmp_path):
    assert {*LAYOUTS, *OTHERS} == {*EXPORT_FORMATS}
    for name, (file, expected) in OTHERS.items():
        files, _ = exported({"d": (TEXT, SPANS)}, name)
        path = tmp_path / "exported"
        path.write_bytes(files[file])
        with pytest.raises(DataError, match=re.escape(expected)):
            read_labelled_file(path)


@at_most(60)
@given(tagged_texts(), st.sampled_from(LAYOUTS), st.sampled_from(["BIO", "BIOES"]))
def test_any_text_comes_back(tmp_path_factory, tagged, layout, scheme):
    text, entities = expected_text(layout, *tagged)
    if not text or (layout == "markup" and not entities):  # without an entity, it is plain text
        return
    options = {"scheme": scheme} if layout == "conll" else {}
    labelled = read_back(tmp_path_factory.mktemp("any"), layout, *tagged, **options)
    if layout == "markup" and text.startswith("\ufeff"):  # a BOM of the file
        text = text[1:]
        entities = [(s[1:] if i == 0 and s[0] == "\ufeff" else s, name) for i, (s, name) in enumerate(entities)]
    assert texts_and_entities(labelled) == [(text, entities)]
    # A file with one character a line is in both layouts; it is read as the first, with the same result.
    assert labelled.layout == layout or (layout == "conll" and labelled.layout == "evahan")
