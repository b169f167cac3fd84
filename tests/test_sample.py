"""The bundled sample equals the output of its script, is legal, and is as ambiguous and dirty as its README says."""

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rayner.text.segmentation import split_sentences
from rayner.text.tags import tags_to_spans

SAMPLE = Path(__file__).parent.parent / "sample"
PRIVATE_USE = "\ue1e0"


def read_sample(folder: Path) -> dict[str, bytes]:
    """Read the files that the script writes, by path."""
    files = [folder / "labelled.txt", folder / "README.md", *(folder / "corpus").rglob("*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture(scope="module")
def paragraphs() -> list[tuple[str, list[str]]]:
    """Read (characters, tags) of each labelled paragraph, without rayner's reader, which could hide faults."""
    content = (SAMPLE / "labelled.txt").read_bytes().decode("utf-8")
    assert content.endswith("\n")
    assert not content.endswith("\n\n")
    assert "\r" not in content
    pairs = []
    for block in content.removesuffix("\n").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n")]
        assert all(len(row) == 2 and len(row[0]) == 1 for row in rows)
        pairs.append(("".join(row[0] for row in rows), [row[1] for row in rows]))
    return pairs


@pytest.fixture(scope="module")
def corpus() -> dict[str, str]:
    """Read the books to tag, by path, with their line ends."""
    return {path: data.decode("utf-8") for path, data in read_sample(SAMPLE).items() if path.startswith("corpus/")}


def test_the_script_writes_exactly_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", SAMPLE / "make_sample.py", "--out", tmp_path], check=True)
    assert read_sample(tmp_path) == read_sample(SAMPLE)


def test_tags_are_legal_and_of_six_types(paragraphs: list[tuple[str, list[str]]]) -> None:
    decoded = [tags_to_spans(tags) for _, tags in paragraphs]
    assert sum(d.n_faults for d in decoded) == 0
    assert {span.type for d in decoded for span in d.spans} == {"NR", "NS", "NB", "NO", "NG", "T"}


def test_sentences_are_many_and_all_different(paragraphs: list[tuple[str, list[str]]], corpus: dict[str, str]) -> None:
    labelled = [text[start:end] for text, _ in paragraphs for start, end in split_sentences(text)]
    assert len(labelled) == len(set(labelled))
    assert 1400 <= len(labelled) <= 1700
    assert 25_000 <= sum(map(len, labelled)) <= 30_000
    assert all(3 <= len(split_sentences(text)) <= 8 for text, _ in paragraphs)
    to_tag = {text[start:end].strip() for text in corpus.values() for start, end in split_sentences(text)}
    assert to_tag.isdisjoint(labelled), "a sentence to tag is in the labelled text"


def find_readings(paragraphs: list[tuple[str, list[str]]], string: str) -> Iterator[str]:
    """Say how each occurrence is tagged: 'NG' as an entity, 'in NR' inside a longer one, 'O', or 'across' edges."""
    for text, tags in paragraphs:
        spans = tags_to_spans(tags).spans
        start = text.find(string)
        while start >= 0:
            end = start + len(string)
            overlapping = [span for span in spans if span.start < end and start < span.end]
            if not overlapping:
                yield "O"
            elif (overlapping[0].start, overlapping[0].end) == (start, end):
                yield overlapping[0].type
            elif overlapping[0].start <= start and end <= overlapping[0].end:
                yield f"in {overlapping[0].type}"
            else:
                yield "across"
            start = text.find(string, start + 1)


@pytest.mark.parametrize(
    ("string", "expected"),
    [
        ("魏", {"NG", "in NR"}),
        ("趙", {"NG", "in NR"}),
        ("代", {"NG", "NS", "O", "in NR"}),
        ("陳", {"NG", "NS", "O", "in NR"}),
        ("鄭國", {"NG", "NR"}),
        ("相", {"NO", "NR", "O", "in NR", "in NO"}),
        ("勃", {"NR", "O", "in NR"}),
        ("信", {"NR", "O", "in NR"}),
        ("會", {"NR", "O", "in NR"}),
        ("何", {"NR", "O", "in NR"}),
        ("武安", {"NS", "in NR"}),
        ("長安", {"NS", "O", "in NR"}),
        ("平原", {"NS", "O", "in NR"}),
        ("高明", {"NS", "O"}),
        ("將軍", {"NO", "O", "in NO", "in NR"}),
        ("衛將軍", {"NO", "NR"}),
        ("司馬", {"NO", "in NR", "in NO"}),
        ("太史", {"NO", "in NR"}),
        ("管子", {"NB", "NR"}),
        ("春秋", {"NB", "O"}),
        ("書", {"NB", "NR", "O"}),
        ("詩", {"NB", "O"}),
        ("易", {"NB", "NS", "O"}),
        ("尚書", {"NB", "NO"}),
        ("甘露", {"O", "in T"}),
        ("三年", {"T", "O", "in T"}),
    ],
)
def test_the_same_string_is_read_in_several_ways(
    paragraphs: list[tuple[str, list[str]]], string: str, expected: set[str]
) -> None:
    assert expected <= set(find_readings(paragraphs, string))


def test_a_date_is_tagged_and_a_duration_is_not(paragraphs: list[tuple[str, list[str]]]) -> None:
    assert set(find_readings(paragraphs, "居三年")) == {"O"}
    assert "across" not in set(find_readings(paragraphs, "三年"))


@pytest.mark.parametrize("pattern", ["字", "諡曰", "號", "、", "「", "」", "。", "？", "！", "《"])
def test_marks_of_lives_lists_and_speech_occur(paragraphs: list[tuple[str, list[str]]], pattern: str) -> None:
    assert "O" in set(find_readings(paragraphs, pattern))


@pytest.mark.parametrize(
    ("char", "expected"), [(PRIVATE_USE, {"in NR"}), ("𠮷", {"in NR"}), ("<", {"O"}), ("&", {"O"}), ("\u2028", set())]
)
def test_dirt_is_in_the_labelled_text(paragraphs: list[tuple[str, list[str]]], char: str, expected: set[str]) -> None:
    assert set(find_readings(paragraphs, char)) == expected


def test_many_names_are_rare(paragraphs: list[tuple[str, list[str]]]) -> None:
    names = [
        text[s.start : s.end] for text, tags in paragraphs for s in tags_to_spans(tags).spans if s.type in ("NR", "NS")
    ]
    rare = [name for name in set(names) if names.count(name) <= 2]
    assert len(rare) >= len(set(names)) / 4


def test_books_to_tag_hold_the_faults_of_real_files(corpus: dict[str, str]) -> None:
    assert len(corpus) == 12
    assert len({path.rsplit("/", 1)[0] for path in corpus}) == 3
    assert 29_000 <= sum(map(len, corpus.values())) <= 33_000
    everything = "".join(corpus.values())
    lines = [line for text in corpus.values() for line in text.split("\n")]
    assert sum(len(line) > 600 for line in lines if not any(mark in line for mark in "。？！")) == 1
    assert any("\u2028" in line.strip() for line in lines)
    assert [everything.count(char) for char in (PRIVATE_USE, "<", "\u2028")] == [1, 1, 1]
    crlf = [text for text in corpus.values() if "\r" in text]
    assert len(crlf) == 1
    assert crlf[0].count("\r") == crlf[0].count("\n") == crlf[0].count("\r\n")


def test_books_to_tag_have_names_that_the_labelled_text_has_not(
    paragraphs: list[tuple[str, list[str]]], corpus: dict[str, str]
) -> None:
    labelled = "".join(text for text, _ in paragraphs)
    everything = "".join(corpus.values())
    facts = runpy.run_path(str(SAMPLE / "facts.py"))
    for entries in (facts["NEW_PERSONS"].replace("·", "!"), facts["NEW_PLACES"]):
        names = {"".join(entry.split("!")[:2]) for entry in entries.split()}
        assert not any(name in labelled for name in names)
        assert sum(name in everything for name in names) > len(names) / 2
