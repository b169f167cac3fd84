"""Tag texts in this process, and print them on a terminal or as JSON lines."""

import io
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from rayner.cli.tag import STANDARD_INPUT
from rayner.cluster.environment import set_quiet_environment
from rayner.corpus.plain_text.left_out import describe_left_out_files
from rayner.corpus.reading import CorpusSurvey, read_documents
from rayner.corpus.text_listing import list_text_files
from rayner.errors import DataError, TooManySetAsideError
from rayner.runs.progress import print_to_stderr, rate_limited
from rayner.tagging.documents import Document
from rayner.tagging.loading import load_fusion_tagger, read_run_settings
from rayner.tagging.tagger import FusionTagger
from rayner.tagging.terminal import format_for_terminal

_CHUNK_BYTES = 2**16
_SCORE_DIGITS = 6


def tag_and_print(
    run: str, paths: Sequence[str], texts: Sequence[str], overrides: Sequence[str], *, as_json: bool
) -> None:
    """Tag texts with a trained run, and print each as soon as it is tagged, in order.

    Args:
        run: The run folder.
        paths: Files or folders, each file a text; or `-`, the standard input, each line a text. Empty for `texts`.
        texts: The texts, if there are no paths.
        overrides: `key=value` settings that replace those of the run.
        as_json: Whether to print JSON lines on a terminal too.

    Raises:
        ConfigError: The run or a setting is wrong.
        DataError: A text cannot be read.
        TooManySetAsideError: Parts of the texts could not be tagged. All texts have been printed.

    """
    set_quiet_environment()
    printer = _Printer(as_json=as_json or not sys.stdout.isatty())
    config = read_run_settings(run, overrides)
    tagger = load_fusion_tagger(config)
    if not paths:
        printer.print_all(tagger.tag_many(texts))
    elif STANDARD_INPUT in paths:
        for lines in _read_batches_of_lines():
            printer.print_all(_tag_lines(tagger, lines))
    else:
        _tag_and_print_files(tagger, paths, config.corpus.encoding, printer)
    printer.finish()


def _tag_and_print_files(tagger: FusionTagger, paths: Sequence[str], encoding: str, printer: "_Printer") -> None:
    for path in paths:
        next(list_text_files(path))  # raises DataError before anything is tagged
    survey, doc_ids = CorpusSurvey(), deque[str]()

    def read_texts() -> Iterator[str]:
        for path in paths:
            for document in read_documents(path, survey, encoding):
                doc_ids.append(document.doc_id)
                yield document.text

    for document in tagger.tag_many(read_texts()):
        printer.print(document, doc_ids.popleft())
    for line in describe_left_out_files(survey.unread, survey.ignored.groups, survey.empty):
        print_to_stderr(line)


def _read_batches_of_lines() -> Iterator[list[tuple[int, bytes]]]:
    """Yield the lines of the standard input with their numbers, as soon as they arrive, without line breaks."""
    number, stream = 1, cast(io.BufferedReader, sys.stdin.buffer)
    pieces: list[bytes] = []  # of the line that has not ended
    while chunk := stream.read1(_CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        if others:
            lines = [b"".join(pieces), *others[:-1]]
            pieces = others[-1:]
            yield list(enumerate(lines, number))
            number += len(lines)
    if rest := b"".join(pieces):
        yield [(number, rest)]


def _tag_lines(tagger: FusionTagger, lines: Iterable[tuple[int, bytes]]) -> Iterator[Document]:
    """Tag lines. Raises DataError, which has the number of the line, if one is not UTF-8."""
    return tagger.tag_many([_decode_line(number, line) for number, line in lines])


def _decode_line(number: int, line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input, line {number}: expected UTF-8, found byte 0x{line[error.start]:02x}: convert the text, "
            "such as with iconv -f GB18030 -t UTF-8"
        ) from None


class _Printer:
    """Prints documents, and the progress to the standard error if the standard output is no terminal."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.has_colours = os.environ.get("NO_COLOR", "") == "" and os.environ.get("TERM", "") != "dumb"
        self.n_texts = self.n_chars = self.n_failed = 0
        self.started = time.monotonic()
        self.print_progress = rate_limited(print_to_stderr)
        if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8 in any locale
            sys.stdout.reconfigure(encoding="utf-8" if as_json else None, errors="backslashreplace")

    def print_all(self, documents: Iterable[Document]) -> None:
        """Print documents as they come."""
        for document in documents:
            self.print(document)

    def print(self, document: Document, doc_id: str | None = None) -> None:
        """Print one document, and count it."""
        self.n_texts += 1
        self.n_chars += len(document.text)
        self.n_failed += bool(document.errors)
        if self.as_json:
            print(json.dumps(_to_json(document, doc_id), ensure_ascii=False), flush=True)
        else:
            text = format_for_terminal(document, has_colours=self.has_colours)
            print(text, end="" if text.endswith("\n") else "\n", flush=True)
        if not sys.stdout.isatty():
            rate = self.n_chars / max(time.monotonic() - self.started, 1e-9)
            self.print_progress(f"tag: {self.n_texts:,} texts, {self.n_chars:,} characters ({rate:,.0f}/s)")

    def finish(self) -> None:
        """Raise TooManySetAsideError if parts of a text could not be tagged."""
        if self.n_failed:
            raise TooManySetAsideError(
                f"done, but parts of {self.n_failed:,} of {self.n_texts:,} texts could not be tagged and have no "
                "entities of both models; the key `errors` of the JSON lines has the reasons"
            )


def _to_json(document: Document, doc_id: str | None) -> dict[str, object]:
    """Return what a JSON line holds. Keys without content are left out, except `entities`."""
    entities = [
        {
            "start": entity.start,
            "end": entity.end,
            "text": entity.text,
            "type": entity.type,
            "score": None if entity.score is None else round(entity.score, _SCORE_DIGITS),
            "decided_by": entity.decided_by,
        }
        for entity in document.entities
    ]
    return {
        **({} if doc_id is None else {"doc_id": doc_id}),
        "text": document.text,
        "entities": entities,
        **({"errors": list(document.errors)} if document.errors else {}),
    }
