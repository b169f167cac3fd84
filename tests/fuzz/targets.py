"""The fuzz targets: everything that reads what people or models give.

A target takes an input (bytes) and returns whether it was read (True) or cleanly refused (False). Anything else is a
bug: an error that is not meant for users, or a property that does not hold for what was read.
"""

import atexit
import dataclasses
import json
import shutil
import tempfile
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from rayner.cli.status import read_run_status
from rayner.config.loading import load_config
from rayner.config.settings import config_to_dict, json_digest
from rayner.corpus.exports import format_evahan_lines, read_type_names
from rayner.corpus.labelled_files import LINE_SEPARATORS, describe_labelled_file, read_labelled_file
from rayner.corpus.labelled_sentences import split_file_into_sentences
from rayner.corpus.review.corrections import read_corrections, write_corrections
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.tables import TABLE_NAMES, iter_documents, iter_segment_rows_by_document
from rayner.corpus.text_files import read_utf8
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.errors import ConfigError, DataError
from rayner.evaluation.evaluate import evaluate_files
from rayner.evaluation.score_table import format_score_table
from rayner.runs.status import STATUS_FILE, format_status
from rayner.text import markup, segmentation
from rayner.text.free_answer import GeneratedAnswer, read_free_answer
from rayner.text.labelled_text import LabelledFile
from rayner.text.spans import Span, sort_and_check_spans
from rayner.text.tag_grammar import GrammarState, TagGrammar, TagSpelling
from rayner.text.tags import (
    OUTSIDE,
    bmes_labels,
    legal_transitions,
    scheme_marks_ends,
    spans_to_tags,
    split_tag,
    tags_to_spans,
    viterbi_decode,
)
from tests.fuzz.seeds import SPLIT

warnings.simplefilter("ignore")
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def write_input(data: bytes, name: str = "input.txt") -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


def read_or_refuse(reader: Callable, *arguments, refusal=(ConfigError, DataError), **keywords):
    """Return what a reader returns, or None if it refuses the input by a message of one line."""
    try:
        return reader(*arguments, **keywords)
    except refusal as error:
        message = str(error)
    assert refusal is ValueError or (message and "\n" not in message)
    return None


# ---- labelled files and texts


def check_labelled_file(data: bytes, layout: str) -> LabelledFile | None:
    labelled = read_or_refuse(read_labelled_file, write_input(data), layout=layout)
    if labelled is not None:
        assert sort_and_check_spans(labelled.spans, len(labelled.text)) == labelled.spans
        assert list(labelled.blank_line_offsets) == sorted(labelled.blank_line_offsets)
        assert all(0 <= offset <= len(labelled.text) for offset in labelled.blank_line_offsets)
        assert all(n >= 0 for n in labelled.faults.values())
        assert labelled.faults["line_separators"] == sum(char in LINE_SEPARATORS for char in labelled.text)
    return labelled


def check_round_trip(labelled: LabelledFile) -> None:
    """What is written of a labelled text is read as the same, without a fault of tags."""
    lines = format_evahan_lines(labelled.text, labelled.spans, labelled.blank_line_offsets)
    again = read_labelled_file(write_input("".join(f"{line}\n" for line in lines).encode()), layout="evahan")
    assert (again.text, again.spans, again.blank_line_offsets) == (
        labelled.text,
        labelled.spans,
        labelled.blank_line_offsets,
    )
    assert again.faults["no_begin"] == again.faults["no_end"] == 0


def evahan_file(data: bytes) -> bool:
    labelled = check_labelled_file(data, "evahan")
    if labelled is None:
        return False
    lines = data.decode().split("\n")
    if labelled.faults["bom"]:
        lines[0] = lines[0][1:]
    assert labelled.text == "".join(line[0] for line in lines if line not in ("", "\r"))
    check_round_trip(labelled)
    return True


def conll_file(data: bytes) -> bool:
    labelled = check_labelled_file(data, "conll")
    if labelled is None:
        return False
    rest = iter(data.decode())
    assert labelled.faults["escapes"] or all(char in rest for char in labelled.text)  # in order, and nothing else
    check_round_trip(labelled)
    return True


def labelled_file(data: bytes) -> bool:
    """A file in any layout, recognised by its content: its texts and sentences partition it."""
    labelled = check_labelled_file(data, "auto")
    if labelled is None:
        return False
    for bounds in (labelled.text_bounds(), labelled.sentence_bounds()):
        assert [i for pair in bounds for i in range(*pair)] == list(range(len(labelled.text)))
    sentences = split_file_into_sentences(labelled)
    assert "".join(sentence.text for sentence in sentences) == labelled.text
    assert sum(len(sentence.spans) for sentence in sentences) == len(labelled.spans)
    describe_labelled_file(labelled).encode()
    return True


def text_file(data: bytes) -> bool:
    text = read_or_refuse(read_utf8, write_input(data))
    assert text is None or text.encode() == data
    try:
        data.decode()
    except UnicodeDecodeError:
        assert text is None
        return False
    assert text is not None
    return True


def evaluation(data: bytes) -> bool:
    gold, _, predicted = data.partition(SPLIT)
    pair = [
        read_or_refuse(read_labelled_file, write_input(part, name), layout="evahan")
        for part, name in ((gold, "gold.txt"), (predicted, "other.txt"))
    ]
    if None in pair:
        return False
    result = read_or_refuse(evaluate_files, *pair, seed=1)
    if result is None:
        return False
    scores = result.systems["predicted"]
    assert 0 <= scores.interval[0] <= scores.interval[1] <= 1
    assert (scores.micro.f1 == 1) == (pair[0].spans == pair[1].spans != ())
    format_score_table(result).encode()
    json.dumps(result.to_json(), allow_nan=False)
    return True


# ---- the pure core


def sentence_split(data: bytes) -> bool:
    text = data.decode(errors="replace")
    boundaries = segmentation.split_sentences(text)
    assert [i for pair in boundaries for i in range(*pair)] == list(range(len(text)))
    for start, end in boundaries:
        left, right = segmentation.bounds_without_whitespace(text[start:end])
        assert text[start:end].strip() == text[start + left : start + right]
    size = 1 + data[0] % 16 if data else 1
    windows = segmentation.split_windows(len(text), size, data[-1] % size if data else 0)
    window_texts = [text[window.start : window.end] for window in windows]
    assert "".join(part[window.kept_slice] for part, window in zip(window_texts, windows, strict=True)) == text
    return True


def llm_markup(data: bytes) -> bool:
    """The LLM's markup: what is read is what would have been written."""
    tagged = data.decode(errors="replace")
    parsed = read_or_refuse(markup.parse_markup, tagged, refusal=ValueError)
    if parsed is None:
        return False
    assert sort_and_check_spans(parsed.spans, len(parsed.text)) == parsed.spans
    assert markup.spans_to_markup(parsed.text, parsed.spans) == tagged
    return True


_SPELLING = TagSpelling((0,), (0, 1), (2,), {"NR": (5, 6), "NS": (5, 7), "NB": (6,), "NG": (5,)})


def grammar_answer(data: bytes) -> bool:
    """The automaton: an answer of any tokens is refused, or is the text with tags."""
    n = data[0] % 8 if data else 0
    grammar = TagGrammar([(2 + char % 8, *([char % 10] * (char % 3))) for char in data[1 : 1 + n]], _SPELLING)
    tokens, state, matcher = list[int](), GrammarState(), GrammarMatcher(grammar)
    for byte in data[1 + n :]:  # most bytes pick an allowed token
        allowed = grammar.allowed_tokens(state)
        assert matcher.allowed_tokens(tokens) == allowed
        if not allowed and byte < 200:
            break
        tokens.append(allowed[byte % len(allowed)] if allowed and byte < 250 else byte % 12)
        if tokens[-1] not in allowed:
            break
        state, _ = grammar.advance(state, tokens[-1])
    else:
        while data[-1:] < b"\xc8" and (allowed := grammar.allowed_tokens(state)):  # most are brought to an end
            tokens.append(allowed[0])
            state, _ = grammar.advance(state, allowed[0])
    probs = [1 / (1 + token) for token in tokens]
    answer = read_or_refuse(grammar.read_answer, tokens, probs, refusal=ValueError)
    if answer is None:
        return False
    assert sort_and_check_spans(answer.spans, len(grammar.char_tokens)) == answer.spans
    assert [step.token for step in grammar.spell_answer(answer.spans)] == tokens
    assert all(0 <= p <= 1 for entity in answer.entities for p in (entity.category_prob, entity.boundary_prob))
    assert ((answer.slot_probs >= 0) & (answer.slot_probs <= 1)).all()
    return True


def free_answer(data: bytes) -> bool:
    """What the LLM wrote freely: any of it is read, and what is read is of the text."""
    text, _, written = data.decode(errors="replace").partition("\n")
    starts = [i - i % 3 for i in range(len(written))]
    generated = GeneratedAnswer(written, starts, [1 / (1 + i % 7) for i in starts], 0.5)
    answer = read_free_answer(text, generated, _SPELLING.types)
    assert sort_and_check_spans(answer.spans, len(text)) == answer.spans
    assert answer.slot_probs.shape == (len(text) + 1,)
    assert ((answer.slot_probs >= 0) & (answer.slot_probs <= 1)).all()
    assert all(0 <= p <= 1 for entity in answer.entities for p in (entity.category_prob, entity.boundary_prob))
    return True


def tag_sequence(data: bytes) -> bool:
    """Tags to spans, mended where they are illegal; and the most probable legal tags of any scores."""
    tags = data.decode(errors="replace").split()
    decoded = read_or_refuse(lambda: tags_to_spans(tags, ends_marked=scheme_marks_ends(tags)), refusal=ValueError)
    if decoded is None:
        return False
    entity_offsets = {i for span in decoded.spans for i in range(span.start, span.end)}
    assert entity_offsets == {i for i, tag in enumerate(tags) if tag != OUTSIDE}
    assert all(split_tag(tags[i])[1] == span.type for span in decoded.spans for i in range(span.start, span.end))
    legal_tags = spans_to_tags(sort_and_check_spans(decoded.spans, len(tags)), len(tags))
    assert tags_to_spans(legal_tags).spans == decoded.spans
    assert tags_to_spans(legal_tags).n_faults == 0
    labels = bmes_labels(("NR", "NS"))
    scores = np.frombuffer(data[: len(data) // 9 * 9], np.uint8).reshape(-1, 9).astype(np.float32)
    if len(scores):
        assert tags_to_spans([labels[i] for i in viterbi_decode(scores, legal_transitions(labels))]).n_faults == 0
    return True


# ---- settings


def settings_file(data: bytes) -> bool:
    config = read_or_refuse(load_config, write_input(data, "input.yaml"))
    if config is None:
        return False
    values = config_to_dict(config)
    json_digest(values)
    again = load_config(write_input(yaml.safe_dump(values, allow_unicode=True).encode(), "again.yaml"))
    assert again == config
    return True


def setting_overrides(data: bytes) -> bool:
    config = read_or_refuse(load_config, None, data.decode("utf-8", "surrogateescape").split("\n"))
    if config is None:
        return False
    json_digest(config_to_dict(config))
    return True


def type_names_file(data: bytes) -> bool:
    names = read_or_refuse(read_type_names, write_input(data, "input.yaml"))
    if names is None:
        return False
    assert all(type(name) is str and name for pair in names.items() for name in pair)
    json.dumps(names, ensure_ascii=False).encode()
    return True


# ---- review


def check_review(data: bytes, name: str) -> bool:
    """Side-car and corrected file; what comes back is training data of the very texts that were given out."""
    side_car, _, corrected = data.partition(SPLIT)
    provenance = read_or_refuse(read_provenance, [write_input(side_car, "provenance.json")])
    if provenance is None:
        return False
    corrections = read_or_refuse(read_corrections, [write_input(corrected, name)], provenance, provenance.types)
    if corrections is None:
        return False
    assert corrections.spans_by_text.keys() <= provenance.by_text.keys()
    corrections.count_changed(provenance)
    for text, spans in corrections.spans_by_text.items():
        assert sort_and_check_spans(spans, len(text)) == spans
        assert {span.type for span in spans} <= {*provenance.types}
    if corrections.spans_by_text:
        write_corrections(corrections, provenance, FOLDER / "labelled.txt")
        # A line break of a text has no line of its own.
        expected = "".join(corrections.spans_by_text).replace("\r\n", "").replace("\n", "")
        if expected:
            assert read_labelled_file(FOLDER / "labelled.txt").text == expected
    return True


def char_tab_tag_review(data: bytes) -> bool:
    return check_review(data, "corrected.txt")


def label_studio_review(data: bytes) -> bool:
    return check_review(data, "corrected.json")


# ---- what rayner wrote, and something may have damaged


def status_file(data: bytes) -> bool:
    write_input(data, STATUS_FILE)
    status = read_or_refuse(read_run_status, FOLDER)
    if status is None:
        return False
    json.dumps(dataclasses.asdict(status), ensure_ascii=False).encode()  # what `--json` prints
    lines = format_status(status, "run", status.updated + 60).split("\n")
    assert 2 <= len(lines) <= 4
    assert not {unicodedata.category(char) for line in lines for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return True


def tagged_tables(data: bytes) -> bool:
    for table, part in zip(TABLE_NAMES, [*data.split(SPLIT), b"", b""], strict=False):
        (FOLDER / table).mkdir(exist_ok=True)
        write_input(part, f"{table}/0.parquet")
    documents = read_or_refuse(
        lambda: list(zip(iter_documents(FOLDER), iter_segment_rows_by_document(FOLDER), strict=True))
    )
    if documents is None:
        return False
    for document, (doc_id, segments) in documents:
        assert document.doc_id == doc_id
        assert all(row["doc_id"] == doc_id for row in (*document.entities, *segments))
        spans = [Span(entity["start"], entity["end"], entity["type"]) for entity in document.entities]
        assert sort_and_check_spans(spans, len(document.text)) == tuple(spans)
        assert all(document.text[entity["start"] : entity["end"]] == entity["text"] for entity in document.entities)
        document.text.encode()
    return True


_SHARES = {  # of all inputs, in thousandths; the slower a target, the fewer
    llm_markup: 420, tag_sequence: 250, sentence_split: 105, text_file: 50, grammar_answer: 40, conll_file: 40,
    labelled_file: 5,
    free_answer: 5, evahan_file: 32, status_file: 20, type_names_file: 10, char_tab_tag_review: 6,
    label_studio_review: 6, setting_overrides: 4, evaluation: 3, tagged_tables: 3, settings_file: 1,
}  # fmt: skip
TARGETS = {target.__name__: (target, share) for target, share in _SHARES.items()}
