"""The scripts of the labelled text and of the corpus: compare them, and convert what the models read."""

from collections import Counter
from collections.abc import Mapping

from rayner.config.settings import Config
from rayner.corpus.scripts.conversion import ScriptConverter, build_script_converter
from rayner.corpus.scripts.recognition import ScriptComparison, ScriptCounts, count_scripts
from rayner.runs.progress import log
from rayner.runs.run_folder import Run
from rayner.steps.data import read_part


def load_script_converter(config: Config, run: Run) -> ScriptConverter | None:
    """Return the converter to the script of a run's training sentences; None if the models read the corpus as it is."""
    if not config.corpus.match_script:
        return None
    converter = build_script_converter(sentence.text for sentence in read_part(run, "train"))
    if converter is None:
        log.warning(
            "corpus.match_script=true changes nothing: expected training sentences in one script, found %s",
            count_training_scripts(run).describe_script(),
        )
    return converter


def count_training_scripts(run: Run) -> ScriptCounts:
    """Count the characters of a run's training sentences that are written in one script only."""
    char_counts = Counter[str]()
    for sentence in read_part(run, "train"):
        char_counts.update(sentence.text)
    return count_scripts(char_counts)


def compare_scripts(config: Config, labelled: ScriptCounts, corpus_char_counts: Mapping[str, int]) -> ScriptComparison:
    """Compare the scripts of the labelled text and of the corpus."""
    return ScriptComparison(labelled, count_scripts(corpus_char_counts), config.corpus.match_script)
