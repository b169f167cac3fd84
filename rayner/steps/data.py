"""The labelled data of a run: read, divided and kept, once for all steps."""

from typing import Any

from rayner.config.settings import Config
from rayner.config.step_settings import step_settings
from rayner.corpus.labelled_files import read_labelled_file
from rayner.corpus.labelled_sentences import (
    read_labelled_sentences,
    split_folds,
    split_labelled_text,
    split_train_dev_test,
    write_labelled_sentences,
)
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import Run, file_sha256, replace_folder
from rayner.text.labelled_text import LabelledSentence

ALL_PART, FOLD_PART = "all", "fold"


def require_labelled_files(config: Config) -> list[str]:
    """The labelled files. Raises ConfigError where none is given."""
    if not config.train:
        raise ConfigError("train: expected labelled files, found none")
    return config.train


def inputs(config: Config, fold: int | None = None) -> dict[str, Any]:
    """Return what the labelled data of a run depends on. fold: see `prepare_data`.

    Raises DataError for a file that is not there.
    """
    files = {}
    for path in require_labelled_files(config):
        try:
            files[path] = file_sha256(path)
        except OSError as error:
            raise DataError(f"{path}: expected a labelled file, found: {error.strerror}") from error
    held_out_fold = {} if fold is None else {"fold": fold, "split.folds": config.split.folds}
    return {**step_settings(config, "data"), "files": files, **held_out_fold}


def prepare_data(config: Config, run: Run, fold: int | None = None) -> dict[str, Any]:
    """Read and divide the labelled files; return sizes, types and the faults met in each file.

    fold: train without this one of the `split.folds` parts of the training sentences; it becomes the part `fold`.
    """

    def work() -> dict[str, Any]:
        examples: list[LabelledSentence] = []
        faults: dict[str, dict[str, int]] = {}
        characters = 0
        for path in config.train:
            labelled = read_labelled_file(path, layout=config.layout)
            own = split_labelled_text(labelled.text, labelled.spans)
            if sum(len(e.text) for e in own) != len(labelled.text) or sum(len(e.spans) for e in own) != len(
                labelled.spans
            ):
                raise RuntimeError(f"{path}: sentences do not add up to the file")
            examples += own
            characters += len(labelled.text)
            faults[path] = labelled.faults
        parts = split_train_dev_test(examples, config.split.dev, config.split.test, config.seed)
        if fold is not None:
            folds = split_folds(parts["train"], config.split.folds, config.seed)
            parts[FOLD_PART] = folds.pop(fold)
            held = {example.text for example in parts[FOLD_PART]}
            parts["train"] = [example for example in parts["train"] if example.text not in held]
        if not parts["train"] or not parts["dev"]:
            raise DataError(f"{', '.join(config.train)}: {len(examples)} sentences are too few to divide")
        with replace_folder(run.path("data")) as folder:
            for name, part in {**parts, ALL_PART: examples}.items():
                write_labelled_sentences(folder / f"{name}.jsonl", part)
        types = sorted({span.type for example in examples for span in example.spans})
        if not types:
            raise DataError(f"{', '.join(config.train)}: expected labelled entities, found none")
        counts = {name: {"sentences": len(part), "characters": sum(len(e.text) for e in part),
                         "entities": sum(len(e.spans) for e in part)} for name, part in parts.items()}  # fmt: skip
        return {"types": types, "characters": characters, "parts": counts, "faults": faults}

    return run.run_step("data", inputs(config, fold), work)


def read_part(run: Run, name: str) -> list[LabelledSentence]:
    """The sentences of `train`, `dev`, `test` or `fold`, or `all` of them as they follow each other in the files."""
    return read_labelled_sentences(run.local_path("data", f"{name}.jsonl"))


def group_neighbours(run: Run, group_size: int) -> dict[str, tuple[str, ...]]:
    """Each labelled sentence with the run of `size` sentences in which it stands in its file, itself among them.

    Held-out sentences stand among training ones there: what they share with their neighbours is what the sentences of
    a corpus share, which it would not be among the held-out ones alone. A sentence that occurs twice counts once.
    """
    texts = [example.text for example in read_part(run, ALL_PART) if example.text.strip()]
    found: dict[str, tuple[str, ...]] = {}
    for at in range(0, len(texts), group_size):
        group = tuple(texts[at : at + group_size])
        for text in group:
            found.setdefault(text, group)
    return found
