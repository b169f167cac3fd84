"""Check, before a job starts, that inputs can be read, models exist, and the machine or cluster is large enough.

The functions `check_and_describe_*` return the lines that `--dry-run` prints. Every check raises an error for the
first problem.
"""

import importlib.util
from collections import Counter
from itertools import islice

from rayner.config.conditions import has_llm, llm_learns_from_pseudo_labels
from rayner.config.settings import Config
from rayner.corpus.ignored_files import describe_ignored_files
from rayner.corpus.labelled_files import describe_labelled_file, read_labelled_file
from rayner.corpus.reading import require_corpus
from rayner.corpus.scripts.recognition import ScriptCounts, count_scripts
from rayner.corpus.text_listing import list_text_files
from rayner.errors import ConfigError
from rayner.runs.run_folder import Run
from rayner.steps.checkpoint_checks import check_and_describe_checkpoints
from rayner.steps.data import require_labelled_files
from rayner.steps.faiss_packages import check_index_device
from rayner.steps.fusion_rules import load_custom_rules, read_tuned_fusion
from rayner.steps.loading import load_tagger_family
from rayner.steps.resources import check_and_describe_memory, check_and_describe_resources
from rayner.steps.scripts import compare_scripts, count_training_scripts
from rayner.steps.tag.plan import survey_corpus
from rayner.steps.tag.tagging_rule import describe_llm_use, other_llm_error

_MAX_LEFT_OUT = 100  # files that cannot be read, each with a line of its own


def check_and_describe_training(config: Config, run: Run) -> list[str]:
    """Check what the training steps need: labelled files, plugins, texts, models and resources.

    Raises ConfigError or DataError for the first problem.
    """
    require_llm_as_before(config, run)
    require_hint_as_before(config, run)
    return [
        *check_and_describe_training_inputs(config),
        *check_and_describe_models(config),
        describe_llm(config),
        describe_run_folder(run),
    ]


def check_and_describe_llm_training(config: Config, run: Run) -> list[str]:
    """Check as `check_and_describe_training`, for a step that only a run with an LLM has."""
    if not has_llm(config):
        raise ConfigError("llm.model: expected an LLM, because this job makes a part of it, found 'none'")
    return check_and_describe_training(config, run)


def check_and_describe_training_inputs(config: Config) -> list[str]:
    """Check what the training steps read, but for models: labelled files, plugins and texts."""
    lines = []
    for path in require_labelled_files(config):
        labelled = read_labelled_file(path, layout=config.layout)
        lines.append(f"train: {describe_labelled_file(labelled)}")
        faults = ", ".join(f"{count} {name}" for name, count in labelled.faults.items() if count) or "none"
        lines.append(
            f"{path}: {len(labelled.text):,} characters, {len(labelled.spans):,} entities; irregularities: {faults}"
        )
    load_tagger_family(config)  # an unknown plugin raises an error
    load_custom_rules(config.fusion.rules)
    pseudo_labelled = config.llm.pseudo_labels.text if llm_learns_from_pseudo_labels(config) else None
    for text in (config.slm.crf.unlabelled, pseudo_labelled):
        if text:
            next(list_text_files(text))  # a path without text files raises an error
    return lines


def check_and_describe_models(config: Config) -> list[str]:
    """Check the models that the training steps start from, what they run on, and that all this is installed."""
    lines = check_and_describe_checkpoints(config)
    check_engine_is_installed(config)
    check_index_device(config)
    return [*lines, *check_and_describe_resources(config), *check_and_describe_memory(config)]


def describe_run_folder(run: Run) -> str:
    """Return the line that names the run folder."""
    return f"run folder: {run.root}"


def check_scores_and_describe_run(config: Config, run: Run) -> list[str]:
    """Check that the step `score` is done, because fusion is tuned on its predictions."""
    run.step_result("score")
    require_llm_as_before(config, run)
    return [describe_llm(config), describe_run_folder(run)]


def check_and_describe_tagging(config: Config, run: Run) -> list[str]:
    """Check the corpus, and that fusion has been tuned; say whether the LLM is asked."""
    run.step_result("tune_fusion")
    require_llm_as_before(config, run)
    require_hint_as_before(config, run)
    llm_use = describe_llm_use(config, read_tuned_fusion(run))
    check_engine_is_installed(config)
    check_index_device(config)
    return [
        *check_and_describe_corpus(config, count_training_scripts(run) if run.has_step("data") else None),
        *check_and_describe_resources(config),
        *check_and_describe_memory(config),
        llm_use,
        describe_run_folder(run),
    ]


def check_and_describe_benchmark(config: Config, run: Run) -> list[str]:
    """Check as `check_and_describe_tagging`, for the benchmark, which needs an LLM."""
    if not has_llm(config):
        raise ConfigError("llm.model: expected an LLM, because the benchmark measures one, found 'none'")
    return check_and_describe_tagging(config, run)


def require_llm_as_before(config: Config, run: Run) -> None:
    """Raise ConfigError if the run has predictions of an LLM and the settings have none, or the other way round."""
    if run.has_step("score") and run.has_step("train_llm") != has_llm(config):
        raise other_llm_error(config)


def require_hint_as_before(config: Config, run: Run) -> None:
    """Raise ConfigError if the run's LLM was trained with another hint than `llm.hint`."""
    if has_llm(config):
        from rayner.steps.llm_loading import check_hint_of_trained_llm  # without an LLM, its code is not needed

        check_hint_of_trained_llm(config, run)


def describe_llm(config: Config) -> str:
    """Return the line about the LLM: which, and whether tagging asks it."""
    if not has_llm(config):
        return "LLM: none (llm.model=none)"
    return f"LLM: {config.llm.model}; while tagging, {describe_llm_use(config, None)}"


def check_and_describe_pipeline(config: Config, run: Run) -> list[str]:
    """Check what the main job needs: labelled files, models, and the corpus if one is given."""
    return [
        *check_and_describe_training(config, run),
        *(
            check_and_describe_corpus(config, _count_labelled_scripts(config))
            if config.corpus.path
            else ["corpus: none, nothing to tag"]
        ),
    ]


def check_and_describe_corpus(config: Config, labelled: ScriptCounts | None = None) -> list[str]:
    """Check that the corpus can be read, and compare its script with that of the labelled text, if it is known.

    Raises DataError if none of its files can be read.
    """
    corpus = require_corpus(config.corpus.path)
    survey = survey_corpus(corpus, config.score.unit_chars, config.tag.max_segment_chars, config.corpus.encoding)
    line = f"{corpus}: {survey.documents:,} documents, {survey.characters:,} characters, {survey.units:,} units"
    lines = [line, *(f"left out: {error}" for error in islice(survey.unread.values(), _MAX_LEFT_OUT))]
    if len(survey.unread) > _MAX_LEFT_OUT:
        lines.append(f"left out: {len(survey.unread) - _MAX_LEFT_OUT:,} more; run.json of the tagged corpus lists all")
    if survey.ignored.groups:
        lines.append(f"ignored: {describe_ignored_files(survey.ignored.groups)}")
    if set(survey.encodings) != {"utf-8"}:
        encodings = ", ".join(f"{n:,} {encoding}" for encoding, n in sorted(survey.encodings.items()))
        lines.append(f"encodings of the texts: {encodings}")
    scripts = compare_scripts(config, labelled or ScriptCounts(), survey.char_counts)
    warnings = filter(None, [scripts.describe_mismatch(), survey.markup.describe()])
    return [*lines, *(f"WARNING: {warning}" for warning in warnings)]


def _count_labelled_scripts(config: Config) -> ScriptCounts:
    char_counts = Counter[str]()
    for path in require_labelled_files(config):
        char_counts.update(read_labelled_file(path, layout=config.layout).text)
    return count_scripts(char_counts)


def check_engine_is_installed(config: Config) -> None:
    """Check that the packages that load and run the LLM are installed. Raises ConfigError if one is not."""
    if not has_llm(config):
        return
    if config.llm.engine == "vllm" and importlib.util.find_spec("vllm") is None:
        raise ConfigError(
            "llm.engine: expected vllm to be installed (pip install 'rayner[vllm]'), found no such package"
        )
    if config.llm.load_in == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            "llm.load_in: expected, for nf4, bitsandbytes to be installed on every node (pip install 'rayner[nf4]'), "
            "found no such package"
        )
