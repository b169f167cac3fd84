import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayner.corpus.exports import EXPORT_FORMATS, ExportCounts, export_corpus, format_evahan_lines, read_type_names
from rayner.corpus.exports.export import group_documents
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.tables import TaggedDocument
from rayner.errors import ConfigError, DataError
from rayner.runs.storage import storage_path
from rayner.text.spans import Span
from tests.corpus import export_readers
from tests.corpus.difficult_texts import write_corpus
from tests.corpus.tagged_corpora import document, entity, write_unit
from tests.strategies import spans_in

CHARS = st.one_of(st.sampled_from("\n\r\t <&\u2028\x85\ufeff\ue1e0𠀀甲。"), st.characters(codec="utf-8"))


@st.composite
def tagged_texts(draw):
    text = draw(st.text(CHARS, max_size=30))
    return text, draw(spans_in(len(text)))


def export_evahan(tagged, out, **options):
    return export_corpus(tagged, out, EXPORT_FORMATS["evahan"], **options)


def without_breaks(text, spans):
    """What a format without line breaks can hold, worked out one character at a time."""
    broken = {i for match in re.finditer(r"\r?\n", text) for i in range(*match.span())}
    kept = [i for i in range(len(text)) if i not in broken]
    place = {i: n for n, i in enumerate(kept)}
    held = [([place[i] for i in range(s.start, s.end) if i in place], s.type) for s in spans]
    return "".join(text[i] for i in kept), tuple(Span(at[0], at[-1] + 1, entity_type) for at, entity_type in held if at)


@given(tagged_texts())
def test_what_is_exported_is_read_back(tmp_path_factory, tagged):
    text, spans = tagged
    expected_text, expected_spans = without_breaks(text, spans)
    folder = tmp_path_factory.mktemp("any")
    rows = [entity("d", s.start, text[s.start : s.end], s.type) for s in spans]
    write_unit(folder / "tagged", "0.parquet", [document("d", text)], rows)
    counts = export_evahan(folder / "tagged", folder / "out")
    assert counts == ExportCounts(1, len(expected_text), len(expected_spans))
    path = folder / "out" / "d.txt"
    if not expected_text:
        assert not path.read_bytes().strip(b"\n")
        return
    read = read_labelled_file(path)
    assert (read.text, read.spans) == (expected_text, expected_spans)
    assert len(read.blank_line_offsets) == text.count("\n")
    assert not any(read.faults[name] for name in ("no_begin", "no_end", "bom", "crlf"))


@given(tagged_texts(), st.data())
def test_blank_lines_are_put_back(tmp_path_factory, tagged, data):
    text, spans = without_breaks(*tagged)
    blanks = data.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    path = tmp_path_factory.mktemp("any") / "f.txt"
    lines = list(format_evahan_lines(text, spans, blanks))
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    if text:
        read = read_labelled_file(path)
        assert (read.text, read.spans, list(read.blank_line_offsets)) == (text, spans, blanks)
        assert list(format_evahan_lines(read.text, read.spans, read.blank_line_offsets)) == lines


def test_lines():
    text = "楚\n懷\r\n王\r。\n"
    spans = [Span(0, 1, "NG"), Span(2, 6, "NR")]
    expected = ["楚\tS-NG", "", "懷\tB-NR", "", "王\tE-NR", "\r\tO", "。\tO", ""]
    assert list(format_evahan_lines(text, spans)) == expected
    assert list(format_evahan_lines("", [])) == []
    assert list(format_evahan_lines("", [], [0, 0])) == ["", ""]


def test_an_entity_of_line_breaks_alone_is_left_out():
    assert list(format_evahan_lines("甲\n乙", [Span(0, 1, "NR"), Span(1, 2, "T")])) == ["甲\tS-NR", "", "乙\tO"]


@pytest.mark.parametrize("spans", [[Span(0, 2, "NR"), Span(1, 3, "T")], [Span(2, 4, "T")]])
def test_spans_that_cannot_be(spans):
    with pytest.raises(ValueError, match="overlaps the one before or leaves the text"):
        list(format_evahan_lines("甲乙丙", spans))


def test_one_file_a_document(tmp_path):
    tagged, out = tmp_path / "tagged", tmp_path / "out"
    write_unit(
        tagged, "0.parquet", [document("史/本紀/1", "楚王"), document("史/2", "")], [entity("史/本紀/1", 0, "楚")]
    )
    write_unit(tagged, "1.parquet", [document("漢", "甲\n")])
    assert export_evahan(tagged, out) == ExportCounts(documents=3, characters=3, entities=1)
    files = {name: content.decode() for name, content in export_readers.read_files(out).items()}
    assert files == {"史/本紀/1.txt": "楚\tS-NR\n王\tO\n", "史/2.txt": "", "漢.txt": "甲\tO\n\n"}
    assert export_evahan(tagged, out).documents == 3  # again, over what is there


def test_a_link_that_would_let_a_doc_id_escape(tmp_path):
    write_unit(tmp_path / "tagged", "0.parquet", [document("b", "甲")])
    export_evahan(tmp_path / "tagged", tmp_path / "out")
    (tmp_path / "out" / "a").symlink_to(tmp_path)
    write_unit(tmp_path / "tagged", "0.parquet", [document("a/x", "甲")])
    with pytest.raises(ConfigError, match=f"expected a place inside {tmp_path}/out, found a link to {tmp_path}"):
        export_evahan(tmp_path / "tagged", tmp_path / "out")
    assert not (tmp_path / "x.txt").exists()


def test_a_folder_that_is_no_corpus(tmp_path):
    with pytest.raises(DataError, match="expected a tagged corpus"):
        export_evahan(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- every format


def texts_of(*names):
    return {name: ("甲楚王。\n", [Span(1, 3, "NR")]) for name in names}


def small_parts(name, size):
    return replace(EXPORT_FORMATS[name], chars_per_file=size)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_an_export_that_is_killed_goes_on_and_ends_with_the_same_files(tmp_path, name):
    form = small_parts(name, 12) if EXPORT_FORMATS[name].chars_per_file else EXPORT_FORMATS[name]
    write_corpus(tmp_path / "tagged", texts_of("a/1", "a/2", "b", "c", "d"))
    counts = export_corpus(tmp_path / "tagged", tmp_path / "whole", form)
    whole = export_readers.read_files(tmp_path / "whole")
    assert len(whole) >= 3

    def stop(counts):
        if counts.documents == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_corpus(tmp_path / "tagged", tmp_path / "out", form, on_progress=stop)
    begun = export_readers.read_files(tmp_path / "out")
    assert 0 < len(begun) < len(whole)
    assert begun.items() <= whole.items()
    kept = sorted(begun)[0]
    (tmp_path / "out" / kept).write_bytes(b"kept")
    assert export_corpus(tmp_path / "tagged", tmp_path / "out", form, keep_existing=True) == counts
    assert export_readers.read_files(tmp_path / "out") == whole | {kept: b"kept"}
    with pytest.raises(ConfigError, match=rf"{kept}: expected the file that rayner wrote, found one that was changed"):
        export_corpus(tmp_path / "tagged", tmp_path / "out", form)
    assert export_readers.read_files(tmp_path / "out") == whole | {kept: b"kept"}
    (tmp_path / "out" / kept).unlink()
    assert export_corpus(tmp_path / "tagged", tmp_path / "out", form) == counts
    assert export_readers.read_files(tmp_path / "out") == whole


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_at_a_url_the_same_files(tmp_path, name):
    write_corpus(tmp_path / "tagged", texts_of("a/1", "b"))
    far = storage_path(f"memory://{tmp_path.name}")
    assert export_corpus(tmp_path / "tagged", far, EXPORT_FORMATS[name]) == export_corpus(
        tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS[name]
    )
    assert export_readers.read_files_at_url(far) == export_readers.read_files(tmp_path / "out")


def test_parts_that_are_no_longer_needed_go_and_nothing_else(tmp_path):
    write_corpus(tmp_path / "tagged", texts_of("a", "b", "c"))
    export_corpus(tmp_path / "tagged", tmp_path / "out", small_parts("jsonl", 5))
    assert set(export_readers.read_files(tmp_path / "out")) == {f"part-0000{i}.jsonl" for i in range(3)}
    for name in ("part-00002.csv", "part-x.jsonl", "mine.jsonl"):
        (tmp_path / "out" / name).touch()
    export_corpus(tmp_path / "tagged", tmp_path / "out", small_parts("jsonl", 10))
    left = {"part-00000.jsonl", "part-00001.jsonl", "part-00002.csv", "part-x.jsonl", "mine.jsonl"}
    assert set(export_readers.read_files(tmp_path / "out")) == left


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20))
def test_parts_are_as_large_as_they_may_be(sizes, most):
    documents = [TaggedDocument(f"{i}", "", "x" * size, []) for i, size in enumerate(sizes)]
    cut = [list(part) for part in group_documents(iter(documents), most)]
    assert [document for part in cut for document in part] == documents
    lengths = [sum(len(document.text) for document in part) for part in cut]
    assert all(length <= most or len(part) == 1 for length, part in zip(lengths, cut, strict=True))
    assert all(length + len(after[0].text) > most for length, after in zip(lengths, cut[1:], strict=False))
    assert cut == [[]] or all(cut)


def test_types_are_called_as_asked(tmp_path):
    write_corpus(tmp_path / "tagged", {"d": ("甲乙丙", [Span(0, 1, "NR"), Span(1, 2, "NS"), Span(2, 3, "X")])})
    export_corpus(tmp_path / "tagged", tmp_path / "m", EXPORT_FORMATS["markup"], type_names={"NR": "PER", "NO": "OFF"})
    assert (tmp_path / "m" / "d.txt").read_text() == "<PER>甲</PER><NS>乙</NS><X>丙</X>"
    export_corpus(
        tmp_path / "tagged",
        tmp_path / "t",
        EXPORT_FORMATS["tei"],
        type_names={"NR": "name type=person", "X": "objectName"},
    )
    told = (tmp_path / "t" / "d.xml").read_text()
    for element in ('<name type="person" cert="high" resp="#agree">甲</name>', "<placeName cert=", "<objectName cert="):
        assert element in told
    export_corpus(tmp_path / "tagged", tmp_path / "l", EXPORT_FORMATS["label-studio"], type_names={"NR": "PER"})
    labels = re.findall(r'<Label value="([^"]*)" background="[^"]+"/>', (tmp_path / "l" / "config.xml").read_text())
    assert sorted(labels) == ["NS", "PER", "X"]


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("conll", "a b"),
        ("markup", "a<b"),
        ("tei", "persName type"),
        ("tei", "persName cert=high"),
        ("tei", "name type=a type=b"),
        ("tei", 'name type="a"'),
        ("tei", "name type=a\x01"),
        ("tei", "a:b"),
    ],
)
def test_names_that_a_format_cannot_spell(tmp_path, name, odd):
    write_corpus(tmp_path / "tagged", texts_of("d"))
    with pytest.raises(
        ConfigError, match=f"expected for NR a name that the format can write, found {re.escape(repr(odd))}"
    ):
        export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS[name], type_names={"NR": odd})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_type_that_no_format_can_spell(tmp_path, name):
    write_corpus(tmp_path / "tagged", {"d": ("甲", [Span(0, 1, "a <b")])})
    with pytest.raises(DataError, match="document 'd': expected a type that the format can write, found 'a <b'"):
        export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS[name])


def test_a_file_is_no_place_for_an_export(tmp_path):
    write_corpus(tmp_path / "tagged", texts_of("d"))
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="out: expected a folder, found a file"):
        export_corpus(tmp_path / "tagged", tmp_path / "out", EXPORT_FORMATS["jsonl"])


def test_a_corpus_without_documents(tmp_path):
    write_unit(tmp_path / "tagged", "0.parquet")
    for name, form in EXPORT_FORMATS.items():
        assert export_corpus(tmp_path / "tagged", tmp_path / name, form) == ExportCounts()
    assert export_readers.read_label_studio(export_readers.read_files(tmp_path / "label-studio")) == {}


def test_the_table_of_tags(tmp_path):
    path = tmp_path / "tags.yaml"
    path.write_text('NR: PER\n"NO": office\n')
    assert read_type_names(path) == {"NR": "PER", "NO": "office"}
    for odd in (
        "NO: OFF",
        "NR: 1",
        "NR:",
        "- NR",
        "NR",
        "",
        "'': PER",
        "a: b: c",
        "NR: !!python/object/apply:os.getcwd []",
    ):
        path.write_text(odd)
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: expected "):
            read_type_names(path)
    for broken in (b"\xff", b"NR: &a PER", b"NR: !!timestamp x", b"[" * 3000):
        path.write_bytes(broken)
        with pytest.raises(ConfigError, match="expected a YAML file"):
            read_type_names(path)
    with pytest.raises(ConfigError, match="expected a YAML file"):
        read_type_names(tmp_path / "none")
