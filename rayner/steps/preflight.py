"""Check, before a job starts, that inputs can be read, models exist, and the machine or cluster is large enough.

The functions `check_and_describe_*` return the lines that `--dry-run` prints. The last line begins with READY. If
checks fail, the error names all faults.
"""

import importlib.util
from collections import Counter
from functools import partial
from itertools import islice

from rayner.config.conditions import has_llm
from rayner.config.settings import Config
from rayner.corpus.ignored_files import describe_ignored_files
from rayner.corpus.labelled_files import describe_labelled_file, read_labelled_file
from rayner.corpus.reading import require_corpus
from rayner.corpus.scripts.recognition import ScriptCounts, count_scripts
from rayner.corpus.text_listing import list_text_files
from rayner.errors import ConfigError
from rayner.runs.run_folder import Run
from rayner.steps.checkpoint_checks import check_and_describe_checkpoints
from rayner.steps.data import (
    ALL_PART,
    collect_manifest_inputs,
    count_sentences_characters_entities,
    require_labelled_files,
    split_files_into_parts,
)
from rayner.steps.faiss_packages import check_index_device
from rayner.steps.forecast.faults import Check, run_checks
from rayner.steps.forecast.remaining_steps import (
    TAGGING_STEP,
    check_and_describe_tagged_folder,
    check_and_list_remaining_steps,
    list_run_steps,
)
from rayner.steps.forecast.room import describe_lack_of_room
from rayner.steps.forecast.workload import READY, Workload
from rayner.steps.fusion_rules import load_custom_rules, read_tuned_fusion
from rayner.steps.loading import load_tagger_family
from rayner.steps.resources import check_and_describe_memory, check_and_describe_resources
from rayner.steps.scripts import compare_scripts, count_training_scripts
from rayner.steps.tag.corrected_units import describe_named_corrections
from rayner.steps.tag.plan import survey_corpus
from rayner.steps.tag.tagging_rule import describe_llm_use, other_llm_error
from rayner.text.labelled_text import LabelledFile

_BYTES_PER_CHAR = 3  # of Chinese text in UTF-8
_MAX_LEFT_OUT = 100  # files that cannot be read, each with a line of its own


def check_and_describe_training(config: Config, run: Run) -> list[str]:
    """Check what the training steps need: labelled files, plugins, texts, models and resources, and the run folder.

    Raises ConfigError or DataError with all faults.
    """

    def check_run_folder() -> list[str]:
        require_llm_as_before(config, run)
        require_hint_as_before(config, run)
        if run.has_step("data"):
            run.is_done_with_same_inputs("data", collect_manifest_inputs(config))
        return []

    return [*run_checks([*_list_training_checks(config, run, Workload()), check_run_folder]), READY]


def _list_training_checks(config: Config, run: Run, work: Workload) -> list[Check]:
    return [
        lambda: _check_training_inputs(config, work),
        lambda: check_and_describe_models(config),
        lambda: [describe_llm(config), describe_run_folder(run)],
    ]


def check_and_describe_llm_training(config: Config, run: Run) -> list[str]:
    """Check as `check_and_describe_training`, for a step that only a run with an LLM has."""
    if not has_llm(config):
        raise ConfigError("llm.model: expected an LLM, because this job makes a part of it, found 'none'")
    return check_and_describe_training(config, run)


def check_and_describe_training_inputs(config: Config) -> list[str]:
    """Check what the training steps read, but for models: labelled files, plugins and texts."""
    return _check_training_inputs(config, Workload())


def _check_training_inputs(config: Config, work: Workload) -> list[str]:
    return run_checks(
        [
            lambda: _check_labelled_files(config, work),
            lambda: _check_plugins(config),
            lambda: _check_unlabelled_texts(config),
        ]
    )


def _check_labelled_files(config: Config, work: Workload) -> list[str]:
    """Read the labelled files and split their sentences, as the step `data` does; note the sizes of the parts."""
    files: dict[str, LabelledFile] = {}

    def check_file(path: str) -> list[str]:
        files[path] = labelled = read_labelled_file(path, layout=config.layout)
        faults = ", ".join(f"{count} {name}" for name, count in labelled.faults.items() if count) or "none"
        return [
            f"train: {describe_labelled_file(labelled)}",
            f"{path}: {len(labelled.text):,} characters, {len(labelled.spans):,} entities; irregularities: {faults}",
        ]

    lines = run_checks([partial(check_file, path) for path in require_labelled_files(config)])
    counts = {name: count_sentences_characters_entities(p) for name, p in split_files_into_parts(config, files).items()}
    del counts[ALL_PART]
    char_counts = Counter[str]()
    for labelled in files.values():
        char_counts.update(labelled.text)
    work.labelled_scripts = count_scripts(char_counts)
    work.part_chars = {name: each["characters"] for name, each in counts.items()}
    sizes = ", ".join(f"{name} {each['sentences']:,}" for name, each in counts.items())
    return [*lines, f"labelled sentences: {sizes}"]


def _check_plugins(config: Config) -> list[str]:
    load_tagger_family(config)  # an unknown plugin raises an error
    load_custom_rules(config.fusion.rules)
    return []


def _check_unlabelled_texts(config: Config) -> list[str]:
    if config.slm.crf.unlabelled:
        next(list_text_files(config.slm.crf.unlabelled))  # a path without text files raises an error
    return []


def check_and_describe_models(config: Config) -> list[str]:
    """Check the models that the training steps start from, what they run on, and that all this is installed."""
    return run_checks(
        [
            lambda: check_and_describe_checkpoints(config),
            lambda: _check_installation(config),
            lambda: check_and_describe_resources(config),
            lambda: check_and_describe_memory(config),
        ]
    )


def _check_installation(config: Config) -> list[str]:
    check_engine_is_installed(config)
    check_index_device(config)
    return []


def describe_run_folder(run: Run) -> str:
    """Return the line that names the run folder."""
    return f"run folder: {run.root}"


def check_scores_and_describe_run(config: Config, run: Run) -> list[str]:
    """Check that the step `score` is done, because fusion is tuned on its predictions."""
    run.step_result("score")
    require_llm_as_before(config, run)
    return [describe_llm(config), describe_run_folder(run), READY]


def check_and_describe_tagging(config: Config, run: Run) -> list[str]:
    """Check the corpus, and that fusion has been tuned; say whether the LLM is asked.

    Raises ConfigError or DataError with all faults.
    """
    lines, work = _check_tagging(config, run)
    lines.append(_check_tagged_folder(config, run, work))
    return [*lines, work.describe_readiness(config)]


def _check_tagging(config: Config, run: Run) -> tuple[list[str], Workload]:
    """Check what tagging needs, but for the folder that it writes; return lines and the size of the corpus."""
    run.step_result("tune_fusion")
    require_llm_as_before(config, run)
    require_hint_as_before(config, run)
    work = Workload(labelled_scripts=count_training_scripts(run) if run.has_step("data") else ScriptCounts())
    lines = run_checks(
        [
            lambda: _check_corpus(config, work),
            lambda: describe_named_corrections(config),
            lambda: _check_installation(config),
            lambda: check_and_describe_resources(config),
            lambda: check_and_describe_memory(config),
            lambda: [describe_llm_use(config, read_tuned_fusion(run)), describe_run_folder(run)],
        ]
    )
    return lines, work


def _check_tagged_folder(config: Config, run: Run, work: Workload) -> str:
    """Check the folder of the tagged corpus. If there is something to tag, note the step."""
    corpus = require_corpus(config.corpus.path)
    line, is_done = check_and_describe_tagged_folder(config, run, corpus, work.corpus_digest)
    work.steps += [] if is_done else [TAGGING_STEP]
    return line


def check_and_describe_benchmark(config: Config, run: Run) -> list[str]:
    """Check as `check_and_describe_tagging`, for the benchmark, which needs an LLM."""
    if not has_llm(config):
        raise ConfigError("llm.model: expected an LLM, because the benchmark measures one, found 'none'")
    return [*_check_tagging(config, run)[0], READY]


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
    """Check what the main job needs: labelled files, models, the run folder, and the corpus if one is given.

    Raises ConfigError or DataError with all faults.
    """
    work = Workload()
    lines = run_checks(
        [
            *_list_training_checks(config, run, work),
            lambda: _check_run_steps(config, run, work),
            lambda: _check_corpus(config, work) if config.corpus.path else ["corpus: none, nothing to tag"],
            lambda: describe_named_corrections(config),
        ]
    )
    if work.steps:
        lines += describe_lack_of_room(config, run, _BYTES_PER_CHAR * work.corpus_chars)
    if config.corpus.path and work.steps:
        work.steps.append(TAGGING_STEP)
    elif config.corpus.path:  # what was tagged can be compared with a fusion that is tuned
        lines.append(_check_tagged_folder(config, run, work))
    return [*lines, work.describe_readiness(config)]


def _check_run_steps(config: Config, run: Run, work: Workload) -> list[str]:
    """Check that the steps that are done were done from these settings and inputs; note those that are left."""
    require_llm_as_before(config, run)
    require_hint_as_before(config, run)
    work.steps = check_and_list_remaining_steps(config, run)
    done = [name for name in list_run_steps(config) if name not in work.steps]
    return [f"steps: {', '.join(done) or 'none'} done; {', '.join(work.steps) or 'none'} to do"]


def check_and_describe_corpus(config: Config) -> list[str]:
    """Check that the corpus can be read. Raises DataError if none of its files can be read."""
    return _check_corpus(config, Workload())


def _check_corpus(config: Config, work: Workload) -> list[str]:
    """Check the corpus, note its size, and compare its script with that of the labelled text, if that is known."""
    corpus = require_corpus(config.corpus.path)
    survey = survey_corpus(corpus, config.score.unit_chars, config.tag.max_segment_chars, config.corpus.encoding)
    work.corpus_chars, work.corpus_digest = survey.characters, survey.digest
    line = f"{corpus}: {survey.documents:,} documents, {survey.characters:,} characters, {survey.units:,} units"
    lines = [line, *(f"left out: {error}" for error in islice(survey.unread.values(), _MAX_LEFT_OUT))]
    if len(survey.unread) > _MAX_LEFT_OUT:
        lines.append(f"left out: {len(survey.unread) - _MAX_LEFT_OUT:,} more; run.json of the tagged corpus lists all")
    if survey.ignored.groups:
        lines.append(f"ignored: {describe_ignored_files(survey.ignored.groups)}")
    if set(survey.encodings) != {"utf-8"}:
        encodings = ", ".join(f"{n:,} {encoding}" for encoding, n in sorted(survey.encodings.items()))
        lines.append(f"encodings of the texts: {encodings}")
    scripts = compare_scripts(config, work.labelled_scripts, survey.char_counts)
    warnings = filter(None, [scripts.format_mismatch_warning(), survey.markup.format_warning()])
    return [*lines, *(f"WARNING: {warning}" for warning in warnings)]


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
