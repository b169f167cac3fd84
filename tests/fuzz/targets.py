"""What is fuzzed: all that reads what people or models give.

Each target takes an input, bytes, and says whether it was read (True) or cleanly refused (False). Anything else is a
bug: an error that is not meant for users, or, of what was read, a property that does not hold.
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
from rayner.corpus.labelled_files import LINE_SEPARATORS, read_labelled_file
from rayner.corpus.review.corrections import read_corrections, write_corrections
from rayner.corpus.review.provenance import read_provenance
from rayner.corpus.tables import TABLE_NAMES, iter_documents, iter_segment_rows
from rayner.corpus.text_files import read_utf8
from rayner.decoding.grammar_matcher import GrammarMatcher
from rayner.errors import ConfigError, DataError
from rayner.evaluation.evaluate import evaluate_files, format_score_table
from rayner.runs.status import STATUS_FILE, format_status
from rayner.text import markup, segmentation
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


def file(data: bytes, name: str = "input.txt") -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


def read(reader: Callable, *given, refusal=(ConfigError, DataError), **named):
    """What a reader makes of it; None where it refuses, by one line."""
    try:
        return reader(*given, **named)
    except refusal as error:
        said = str(error)
    assert refusal is ValueError or (said and "\n" not in said)
    return None


# ---- labelled files and texts


def labelled(data: bytes, layout: str) -> LabelledFile | None:
    found = read(read_labelled_file, file(data), layout=layout)
    if found is not None:
        assert sort_and_check_spans(found.spans, len(found.text)) == found.spans
        assert list(found.blank_line_offsets) == sorted(found.blank_line_offsets)
        assert all(0 <= at <= len(found.text) for at in found.blank_line_offsets)
        assert all(n >= 0 for n in found.faults.values())
        assert found.faults["line_separators"] == sum(char in LINE_SEPARATORS for char in found.text)
    return found


def written_again(found: LabelledFile) -> None:
    """What is written of a labelled text is read as the same, without a fault of tags."""
    lines = format_evahan_lines(found.text, found.spans, found.blank_line_offsets)
    again = read_labelled_file(file("".join(f"{line}\n" for line in lines).encode()))
    assert (again.text, again.spans, again.blank_line_offsets) == (found.text, found.spans, found.blank_line_offsets)
    assert again.faults["no_begin"] == again.faults["no_end"] == 0


def evahan(data: bytes) -> bool:
    found = labelled(data, "evahan")
    if found is None:
        return False
    lines = data.decode().split("\n")
    if found.faults["bom"]:
        lines[0] = lines[0][1:]
    assert found.text == "".join(line[0] for line in lines if line not in ("", "\r"))
    written_again(found)
    return True


def conll(data: bytes) -> bool:
    found = labelled(data, "conll")
    if found is None:
        return False
    rest = iter(data.decode())
    assert all(char in rest for char in found.text)  # in order, and nothing of its own
    written_again(found)
    return True


def text(data: bytes) -> bool:
    found = read(read_utf8, file(data))
    assert found is None or found.encode() == data
    try:
        data.decode()
    except UnicodeDecodeError:
        assert found is None
        return False
    assert found is not None
    return True


def evaluated(data: bytes) -> bool:
    gold, _, predicted = data.partition(SPLIT)
    pair = [read(read_labelled_file, file(part, name)) for part, name in ((gold, "gold.txt"), (predicted, "other.txt"))]
    if None in pair:
        return False
    result = read(evaluate_files, *pair, seed=1)
    if result is None:
        return False
    scores = result["systems"]["predicted"]
    assert 0 <= scores["interval"][0] <= scores["interval"][1] <= 1
    assert (scores["micro"]["f1"] == 1) == (pair[0].spans == pair[1].spans != ())
    format_score_table(result).encode()
    json.dumps(result, allow_nan=False)
    return True


# ---- the pure core


def sentences(data: bytes) -> bool:
    whole = data.decode(errors="replace")
    found = segmentation.split_sentences(whole)
    assert [i for pair in found for i in range(*pair)] == list(range(len(whole)))
    for start, end in found:
        left, right = segmentation.bounds_without_whitespace(whole[start:end])
        assert whole[start:end].strip() == whole[start + left : start + right]
    size = 1 + data[0] % 16 if data else 1
    cut = segmentation.split_windows(len(whole), size, data[-1] % size if data else 0)
    assert "".join(segmentation.stitch_windows([whole[window.start : window.end] for window in cut], cut)) == whole
    return True


def answer(data: bytes) -> bool:
    """The LLM's markup: what is read is what would have been written."""
    tagged = data.decode(errors="replace")
    found = read(markup.parse_markup, tagged, refusal=ValueError)
    if found is None:
        return False
    assert sort_and_check_spans(found.spans, len(found.text)) == found.spans
    assert markup.spans_to_markup(found.text, found.spans) == tagged
    return True


_SPELLED = TagSpelling((0,), (0, 1), (2,), {"NR": (5, 6), "NS": (5, 7), "NB": (6,), "NG": (5,)})


def copied(data: bytes) -> bool:
    """The automaton: an answer of any tokens is refused, or is the text with tags."""
    n = data[0] % 8 if data else 0
    copier = TagGrammar([(2 + char % 8, *([char % 10] * (char % 3))) for char in data[1 : 1 + n]], _SPELLED)
    tokens, state, follower = list[int](), GrammarState(), GrammarMatcher(copier)
    for byte in data[1 + n :]:  # most bytes pick an allowed token
        allowed = copier.allowed_tokens(state)
        assert follower.allowed_tokens(tokens) == allowed
        if not allowed and byte < 200:
            break
        tokens.append(allowed[byte % len(allowed)] if allowed and byte < 250 else byte % 12)
        if tokens[-1] not in allowed:
            break
        state, _ = copier.advance(state, tokens[-1])
    else:
        while data[-1:] < b"\xc8" and (allowed := copier.allowed_tokens(state)):  # most are brought to an end
            tokens.append(allowed[0])
            state, _ = copier.advance(state, allowed[0])
    probs = [1 / (1 + token) for token in tokens]
    found = read(copier.read_answer, tokens, probs, refusal=ValueError)
    if found is None:
        return False
    assert sort_and_check_spans(found.spans, len(copier.char_tokens)) == found.spans
    assert [step.token for step in copier.spell_answer(found.spans)] == tokens
    assert all(0 <= p <= 1 for item in found.entities for p in (item.category_prob, item.boundary_prob))
    assert ((found.slot_probs >= 0) & (found.slot_probs <= 1)).all()
    return True


def tagged(data: bytes) -> bool:
    """Tags to spans, mended where they are illegal; and the most probable legal tags of any scores."""
    sequence = data.decode(errors="replace").split()
    found = read(lambda: tags_to_spans(sequence, ends_marked=scheme_marks_ends(sequence)), refusal=ValueError)
    if found is None:
        return False
    labelled_at = {i for span in found.spans for i in range(span.start, span.end)}
    assert labelled_at == {i for i, tag in enumerate(sequence) if tag != OUTSIDE}
    assert all(split_tag(sequence[i])[1] == span.type for span in found.spans for i in range(span.start, span.end))
    legal = spans_to_tags(sort_and_check_spans(found.spans, len(sequence)), len(sequence))
    assert tags_to_spans(legal).spans == found.spans
    assert tags_to_spans(legal).n_faults == 0
    labels = bmes_labels(("NR", "NS"))
    scores = np.frombuffer(data[: len(data) // 9 * 9], np.uint8).reshape(-1, 9).astype(np.float32)
    if len(scores):
        assert tags_to_spans([labels[i] for i in viterbi_decode(scores, legal_transitions(labels))]).n_faults == 0
    return True


# ---- settings


def settings(data: bytes) -> bool:
    config = read(load_config, file(data, "input.yaml"))
    if config is None:
        return False
    plain = config_to_dict(config)
    json_digest(plain)
    again = load_config(file(yaml.safe_dump(plain, allow_unicode=True).encode(), "again.yaml"))
    assert again == config
    return True


def overrides(data: bytes) -> bool:
    config = read(load_config, None, data.decode("utf-8", "surrogateescape").split("\n"))
    if config is None:
        return False
    json_digest(config_to_dict(config))
    return True


def tag_names(data: bytes) -> bool:
    found = read(read_type_names, file(data, "input.yaml"))
    if found is None:
        return False
    assert all(type(name) is str and name for pair in found.items() for name in pair)
    json.dumps(found, ensure_ascii=False).encode()
    return True


# ---- review


def reviewed(data: bytes, name: str) -> bool:
    """Side-car and corrected file; what comes back is training data of the very texts that were given out."""
    side_car, _, corrected = data.partition(SPLIT)
    known = read(read_provenance, [file(side_car, "provenance.json")])
    if known is None:
        return False
    found = read(read_corrections, [file(corrected, name)], known, known.types)
    if found is None:
        return False
    assert found.spans_by_text.keys() <= known.sentences.keys()
    found.count_changed(known)
    for sentence, spans in found.spans_by_text.items():
        assert sort_and_check_spans(spans, len(sentence)) == spans
        assert {span.type for span in spans} <= {*known.types}
    if found.spans_by_text:
        write_corrections(found, known, FOLDER / "labelled.txt")
        # A line break of a text has no line of its own.
        kept = "".join(found.spans_by_text).replace("\r\n", "").replace("\n", "")
        if kept:
            assert read_labelled_file(FOLDER / "labelled.txt").text == kept
    return True


def char_tab_tag_review(data: bytes) -> bool:
    return reviewed(data, "corrected.txt")


def label_studio_review(data: bytes) -> bool:
    return reviewed(data, "corrected.json")


# ---- what rayner wrote, and something may have damaged


def status(data: bytes) -> bool:
    file(data, STATUS_FILE)
    found = read(read_run_status, FOLDER)
    if found is None:
        return False
    json.dumps(dataclasses.asdict(found), ensure_ascii=False).encode()  # what `--json` prints
    lines = format_status(found, "run", found.updated + 60).split("\n")
    assert 2 <= len(lines) <= 4
    assert not {unicodedata.category(char) for line in lines for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return True


def tables(data: bytes) -> bool:
    for table, part in zip(TABLE_NAMES, [*data.split(SPLIT), b"", b""], strict=False):
        (FOLDER / table).mkdir(exist_ok=True)
        file(part, f"{table}/0.parquet")
    found = read(lambda: list(zip(iter_documents(FOLDER), iter_segment_rows(FOLDER), strict=True)))
    if found is None:
        return False
    for document, (doc_id, segments) in found:
        assert document.doc_id == doc_id
        assert all(row["doc_id"] == doc_id for row in (*document.entities, *segments))
        spans = [Span(row["start"], row["end"], row["type"]) for row in document.entities]
        assert sort_and_check_spans(spans, len(document.text)) == tuple(spans)
        assert all(document.text[row["start"] : row["end"]] == row["text"] for row in document.entities)
        document.text.encode()
    return True


_SHARES = {  # of all inputs, in thousandths; the slower a target, the fewer
    answer: 430, tagged: 250, sentences: 105, text: 50, copied: 40, conll: 40, evahan: 32, status: 20, tag_names: 10,
    char_tab_tag_review: 6, label_studio_review: 6, overrides: 4, evaluated: 3, tables: 3, settings: 1,
}  # fmt: skip
TARGETS = {target.__name__: (target, share) for target, share in _SHARES.items()}
