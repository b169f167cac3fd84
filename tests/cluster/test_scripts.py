"""A run trained on traditional text tags a simplified corpus in another encoding as if it were the original."""

from dataclasses import replace

import pytest

from rayner.bench.end_to_end import tag_in_one_process
from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.run_record import read_run_record
from rayner.corpus.scripts.conversion import build_script_converter
from rayner.corpus.scripts.tables import load_script_tables
from rayner.errors import ConfigError
from rayner.runs.storage import storage_path
from rayner.steps.data import read_part
from rayner.steps.preflight import check_and_describe_tagging
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.tag.verify import find_problems_and_counts
from rayner.text.segmentation import split_sentences
from tests.cluster.small import SAMPLE, rows_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def texts(without_llm):
    """Simplified and traditional texts by name. Each sentence comes back if its simplified form is converted."""
    converter = build_script_converter(sentence.text for sentence in read_part(without_llm[1], "train"))
    simplified_of = load_script_tables().simplified
    made = {}
    for path in sorted((SAMPLE / "corpus").rglob("*.txt"))[:2]:
        text = path.read_text(encoding="utf-8")[:1200]
        sentences = [text[start:end] for start, end in split_sentences(text)]
        pairs = [("".join(simplified_of.get(char, (char,))[0] for char in each), each) for each in sentences]
        kept = [pair for pair in pairs if converter.convert("国为马" + pair[0])[3:] == pair[1]]
        assert len(kept) > len(pairs) / 2
        made[path.stem] = "".join(pair[0] for pair in kept), "".join(pair[1] for pair in kept)
    return made


def write_corpus(folder, texts, i, encoding):
    folder.mkdir()
    for name, both in texts.items():
        (folder / f"{name}.txt").write_bytes(both[i].encode(encoding))
    return str(folder)


def test_a_simplified_corpus_gets_the_entities_of_the_traditional_one_in_its_own_characters(
    without_llm, texts, tmp_path
):
    config, run = without_llm
    simplified = write_corpus(tmp_path / "simplified", texts, 0, "gb18030")
    traditional = write_corpus(tmp_path / "traditional", texts, 1, "utf-8")
    expected, out = tmp_path / "expected", tmp_path / "out"
    tag_in_one_process(replace(config, corpus=CorpusConfig(traditional)), run, expected)
    matching = replace(config, corpus=CorpusConfig(simplified, "gb18030", match_script=True), out=str(out))

    as_it_is = replace(matching, corpus=CorpusConfig(simplified, "gb18030"))
    lines = check_and_describe_tagging(as_it_is, run)
    assert "encodings of the texts: 2 gb18030" in lines
    (warning,) = [line for line in lines if line.startswith("WARNING: ")]
    assert "the labelled text is traditional" in warning
    assert "the corpus is simplified" in warning
    assert not [line for line in check_and_describe_tagging(matching, run) if line.startswith("WARNING: ")]

    tag_corpus(matching, run)
    documents, entities = rows_of(out, "documents"), rows_of(out, "entities")
    assert {row["doc_id"]: (row["text"], row["encoding"]) for row in documents} == {
        name: (both[0], "gb18030") for name, both in texts.items()
    }
    others = rows_of(expected, "entities")
    assert [{**row, "text": ""} for row in entities] == [{**row, "text": ""} for row in others]
    assert len(entities) > 20
    for row, other in zip(entities, others, strict=True):
        assert row["text"] == texts[row["doc_id"]][0][row["start"] : row["end"]]
        assert other["text"] == texts[row["doc_id"]][1][row["start"] : row["end"]]
    assert [row["text"] for row in entities] != [row["text"] for row in others]
    assert find_problems_and_counts(storage_path(str(out)), run)[0] == []
    record = read_run_record(out)
    assert record.scripts.corpus.script == "simplified"
    assert record.scripts.is_matched
    assert record.warnings == []

    with pytest.raises(ConfigError, match=r"corpus\.match_script"):
        tag_corpus(as_it_is, run)
