"""`estimate.json`: the estimate that `rayner review estimate` keeps in a tagged corpus, for its report and its site."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rayner.corpus.exports.export_format import get_entity_spans
from rayner.corpus.review.candidates import count_documents
from rayner.corpus.review.estimate import CorpusEstimate
from rayner.corpus.review.provenance import Place, ReviewSentence
from rayner.corpus.run_record import read_run_record
from rayner.corpus.tables import iter_documents
from rayner.errors import ConfigError
from rayner.runs.json_files import read_checked_json, write_checked_json
from rayner.runs.storage import StoragePath
from rayner.text.json_records import parse_record, record_to_json
from rayner.text.spans import Span, crop_spans

ESTIMATE_FILE = "estimate.json"
_FORMAT_VERSION = 1
_REMEDY = "give the command `rayner review estimate` again"


def read_tagged_spans_by_place(
    tagged: StoragePath,
    sentences: Iterable[ReviewSentence],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Place, tuple[Span, ...]]:
    """Return the entities that a tagged corpus has in each sentence. Offsets count from the start of the sentence.

    An entity that lies only partly in a sentence is left out.

    Args:
        tagged: The folder of the tagged corpus.
        sentences: The sentences, which may have been drawn from an earlier tagging of the same corpus.
        on_progress: Called after each document that is read, with the number of documents read and to read.

    Raises:
        ConfigError: The corpus does not have one of the sentences at its place.

    """
    by_document: dict[str, list[ReviewSentence]] = {}
    for sentence in sentences:
        by_document.setdefault(sentence.doc_id, []).append(sentence)
    found: dict[Place, tuple[Span, ...]] = {}
    n_documents = count_documents(tagged)
    for i, document in enumerate(iter_documents(tagged)):
        for sentence in by_document.pop(document.doc_id, ()):
            if document.text[sentence.start : sentence.end] != sentence.text:
                raise _build_error(tagged, sentence, "another text there")
            found[sentence.place] = crop_spans(get_entity_spans(document), sentence.start, sentence.end)
        on_progress(i + 1, n_documents)
    for left in by_document.values():
        raise _build_error(tagged, left[0], "no such document")
    return found


def _build_error(tagged: StoragePath, sentence: ReviewSentence, found: str) -> ConfigError:
    return ConfigError(
        f"{tagged}: expected the corpus from which the sample was drawn, with {sentence.text[:10]!r} at character "
        f"{sentence.start} of {sentence.doc_id}, found {found}: draw a sample of this corpus"
    )


@dataclass(frozen=True)
class KeptEstimate:
    """The content of `estimate.json`. records_sha256: that of the run record of the tables that were judged."""

    records_sha256: str
    estimate: CorpusEstimate


def write_estimate(tagged: StoragePath, estimate: CorpusEstimate) -> None:
    """Write `estimate.json` into a tagged corpus."""
    kept = KeptEstimate(_read_records_sha256(tagged), estimate)
    write_checked_json(tagged / ESTIMATE_FILE, {"format_version": _FORMAT_VERSION, **record_to_json(kept)})


def read_estimate(tagged: StoragePath) -> CorpusEstimate | None:
    """Read the estimate of a tagged corpus. Return None if there is none, or if the corpus was tagged anew since.

    Raises ConfigError if another version of rayner wrote it, DamagedFileError if it is damaged.
    """
    path = tagged / ESTIMATE_FILE
    try:
        content = read_checked_json(path, _REMEDY)
    except FileNotFoundError:
        return None
    kept = parse_record(
        KeptEstimate, content, str(path), expected="an estimate", remedy=_REMEDY, format_version=_FORMAT_VERSION
    )
    return kept.estimate if kept.records_sha256 == _read_records_sha256(tagged) else None


def _read_records_sha256(tagged: StoragePath) -> str:
    try:
        return read_run_record(tagged).records_sha256
    except FileNotFoundError:  # a corpus whose job has not ended
        return ""
