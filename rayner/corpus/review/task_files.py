"""Write sentences for a reviewer as Label Studio tasks or as a char-tab-tag file, with a `provenance.json`."""

from typing import Any

from rayner.corpus.exports.evahan import format_evahan_sentences
from rayner.corpus.exports.label_studio import build_labelling_config, build_task_with_predictions
from rayner.corpus.review.provenance import PROVENANCE_FILE, ReviewSentence, make_review_sentence, write_provenance
from rayner.corpus.review.selection import ChosenSentences
from rayner.corpus.text_files import write_utf8
from rayner.errors import ConfigError
from rayner.runs.json_files import write_json
from rayner.runs.output_folder import MARKER_FILE, check_output_folder, list_other_names, mark_output_folder_as_ours
from rayner.runs.storage import StoragePath

REVIEW_FORMATS = ("label-studio", "evahan")
_PURPOSE = "review"
TASKS_FILE, CONFIG_FILE, SENTENCES_FILE = "tasks.json", "config.xml", "sentences.txt"


def check_review_folder(out: StoragePath) -> None:
    """Raise ConfigError if a folder contains any file. Not even our own are replaced: they may have been corrected."""
    check_output_folder(out, _PURPOSE)
    for name in list_other_names(out):
        if name != MARKER_FILE:
            raise ConfigError(f"{out}: expected a folder without an earlier review, found {name}: name another folder")


def write_review_folder(chosen: ChosenSentences, out: StoragePath, file_format: str) -> None:
    """Write a folder with the sentences for a reviewer.

    Args:
        chosen: The sentences, and the types that the reviewer may use.
        out: The folder. It gets `provenance.json` and the files of the format.
        file_format: One of REVIEW_FORMATS. "label-studio" writes the tasks and their labelling configuration. "evahan"
            writes a char-tab-tag file in which blank lines separate the sentences.

    Raises:
        ConfigError: The folder contains files, such as an earlier review that may already have been corrected.

    """
    check_review_folder(out)
    mark_output_folder_as_ours(out, _PURPOSE)
    sentences = [make_review_sentence(candidate) for candidate in chosen.candidates]
    if file_format == "label-studio":
        write_json(out / TASKS_FILE, [_build_review_task(sentence) for sentence in sentences])
        write_utf8(out / CONFIG_FILE, build_labelling_config(chosen.types))
    else:
        texts = ((sentence.text, sentence.predicted) for sentence in sentences)
        write_utf8(out / SENTENCES_FILE, format_evahan_sentences(texts))
    # Written last, because `review import` and `review estimate` need it.
    write_provenance(sentences, chosen.types, out / PROVENANCE_FILE, chosen.population)


def _build_review_task(sentence: ReviewSentence) -> dict[str, Any]:
    meta = {"doc_id": sentence.doc_id, "start": sentence.start, "end": sentence.end, "sha256": sentence.sha256}
    return build_task_with_predictions(sentence.text, sentence.predicted, meta)
