"""The text of a pretraining: which texts of the corpus are read, which are left out, and their tokens on the disk."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rayner.config.settings import Config
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import split_file_into_sentences
from rayner.corpus.reading import CorpusSurvey, compute_unknown_char_share, read_documents, require_corpus
from rayner.corpus.text_files import read_utf8
from rayner.errors import ConfigError, DataError
from rayner.modeling.tokenizer import CharTokenizer
from rayner.pretraining.record import TextFacts
from rayner.pretraining.shared_text import SHARED_CHARS, SharedText, parse_variants
from rayner.pretraining.text_windows import write_windows
from rayner.pretraining.training_order import Ints
from rayner.runs.progress import Progress, log, rate_limited
from rayner.runs.run_folder import Run, replace_folder

SPECIAL_TOKENS = 2  # of a window: one before and one after the text
WINDOWS_FOLDER = ("data", "windows")
_MAX_NAMES = 20  # texts left out that the log names


@dataclass(frozen=True)
class PretrainingText:
    """The facts about the text, and how often each character occurs in it."""

    facts: TextFacts
    char_counts: Counter[str]

    def describe(self) -> list[str]:
        """Return lines for the log."""
        facts, names = self.facts, list(self.facts.left_out)
        lines = [f"{facts.documents:,} texts, {facts.characters:,} characters to pretrain on"]
        if facts.labelled_sentences:
            lines.append(
                f"left out: {len(names):,} texts with {facts.left_out_characters:,} characters, which share "
                f"{SHARED_CHARS} characters with one of {facts.labelled_sentences:,} labelled sentences "
                f"({facts.short_sentences:,} of these are shorter and were not looked for)"
            )
            shown = names[:_MAX_NAMES]
            lines += [f"left out: {name}" for name in shown]
            if names[len(shown) :]:
                lines.append(f"left out: {len(names) - len(shown):,} more; pretraining.json lists all")
        lines += [f"not read: {reason}" for reason in list(facts.unread.values())[:_MAX_NAMES]]
        return lines


def survey_text(config: Config) -> PretrainingText:
    """Read the corpus once: count its characters, and find the texts to leave out.

    Raises ConfigError or DataError if the corpus, the labelled files or the file of variants cannot be read, or if no
    text is left.
    """
    corpus, shared = require_corpus(config.corpus.path), _read_shared_text(config)
    survey, left_out_counts = CorpusSurvey(), Counter[str]()
    left_out: list[str] = []
    print_if_due = rate_limited(log.info)
    for document in read_documents(corpus, survey, config.corpus.encoding):
        print_if_due(f"reading the corpus: {survey.characters:,} characters so far")
        if shared.is_shared_with(document.text):
            left_out.append(document.doc_id)
            left_out_counts.update(document.text)
    facts = TextFacts(
        digest=survey.digest,
        documents=survey.documents - len(left_out),
        characters=survey.characters - left_out_counts.total(),
        left_out=tuple(left_out),
        left_out_characters=left_out_counts.total(),
        unread=survey.unread,
        labelled_sentences=shared.n_sentences,
        short_sentences=shared.n_short_sentences,
        labelled_digest=shared.digest if shared.n_sentences else "",
    )
    if not facts.characters:
        raise DataError(
            f"{corpus}: expected text to pretrain on, found none"
            + (f" but {len(left_out):,} texts that pretrain.exclude leaves out" if left_out else "")
        )
    survey.char_counts.subtract(left_out_counts)
    return PretrainingText(facts, +survey.char_counts)


def _read_shared_text(config: Config) -> SharedText:
    """Read the labelled sentences of `pretrain.exclude`."""
    variants = {}
    if config.pretrain.variants:
        variants = parse_variants(read_utf8(config.pretrain.variants), config.pretrain.variants)
    return SharedText(
        chain.from_iterable(_read_sentences(path, config.layout) for path in config.pretrain.exclude), variants
    )


def _read_sentences(path: str, layout: str) -> list[str]:
    """Read the sentences of a labelled file, or of a part of a run (`.jsonl`)."""
    if path.endswith(".jsonl") and layout in ("evahan", "conll"):  # of other files beside the part of a run
        layout = "jsonl"
    return [sentence.text for sentence in split_file_into_sentences(read_labelled_file(path, layout=layout))]


def write_text_windows(config: Config, run: Run, text: PretrainingText, tokenizer: CharTokenizer) -> int:
    """Write the tokens of all texts that are not left out, in windows, and return the number of windows.

    Raises ConfigError if the text is shorter than a window.
    """
    size = config.pretrain.window_tokens - SPECIAL_TOKENS
    with replace_folder(run.path(*WINDOWS_FOLDER)) as folder:
        n_windows = write_windows(
            folder,
            _encode_texts(config, text.facts, tokenizer),
            size,
            separator=tokenizer.tokenizer.sep_token_id,
            n_tokens=len(tokenizer.tokenizer),
        )
    if n_windows < 2:  # one to train on, one to hold out
        raise ConfigError(
            f"pretrain.window_tokens: expected two windows of text at least, found windows of {size:,} characters and "
            f"a text of {text.facts.characters:,}; add text"
        )
    return n_windows


def _encode_texts(config: Config, facts: TextFacts, tokenizer: CharTokenizer) -> Iterator[Ints]:
    """Yield the tokens of each text that is not left out."""
    survey, left_out = CorpusSurvey(), frozenset(facts.left_out)
    progress = Progress("reading", facts.characters, "characters")
    for document in read_documents(require_corpus(config.corpus.path), survey, config.corpus.encoding):
        if document.doc_id not in left_out:
            yield np.fromiter(chain.from_iterable(map(tokenizer.encode_char, document.text)), dtype=np.int64)
            progress.advance(len(document.text))
    if survey.digest != facts.digest:
        raise DataError(
            f"{config.corpus.path}: expected the texts of a moment ago, found that a file was changed meanwhile: run "
            "the command again"
        )


def warn_of_unknown_characters(text: PretrainingText, tokenizer: CharTokenizer, where: str) -> None:
    """Log the share of characters that a checkpoint's tokenizer does not know."""
    known = {char for char in text.char_counts if char in tokenizer}
    share = compute_unknown_char_share(text.char_counts, known)
    if share > 0.01:
        log.warning(
            "pretraining: %s does not know %.1f%% of the text's characters and learns nothing of them; is it of the "
            "same script (traditional, simplified)?", where, 100 * share,
        )  # fmt: skip
