"""Step data: read the labelled files once, split their sentences into parts, and store the parts for all steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rayner.config.settings import BLOCK, DOCUMENT, SENTENCE, Config
from rayner.config.step_settings import step_settings
from rayner.corpus.labelled_files import AUTO, describe_labelled_file, read_labelled_file, recognise_file_layout
from rayner.corpus.labelled_sentences import (
    read_labelled_sentences,
    split_file_into_sentences,
    split_folds,
    split_train_dev_test,
    write_labelled_sentences,
)
from rayner.errors import ConfigError, DataError
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, file_sha256, replace_folder
from rayner.text.labelled_text import LabelledFile, LabelledSentence
from rayner.text.passages import cut_into_blocks

FILES_FOR_DOCUMENTS = 10  # from so many labelled files on, `split.by=auto` holds out whole files: one of ten is 10%
FEWEST_FILES = 3  # one for each part
ALL_PART, FOLD_PART = "all", "fold"  # all sentences; in the run of a fold, the sentences that are left out of training


def require_labelled_files(config: Config) -> list[str]:
    """Return the labelled files in the settings. Raises ConfigError if there are none."""
    if not config.train:
        raise ConfigError("train: expected labelled files, found none")
    return config.train


def collect_manifest_inputs(config: Config, fold: int | None = None) -> dict[str, Any]:
    """Return the settings and digests that the labelled data of a run depends on.

    fold: see `read_and_split_labelled_files`.
    Raises DataError if a labelled file cannot be read.
    """
    files = {}
    for path in require_labelled_files(config):
        try:
            files[path] = file_sha256(path)
        except OSError as error:
            raise DataError(f"{path}: expected a labelled file, found: {error.strerror}") from error
    held_out_fold = {} if fold is None else {"fold": fold, "split.folds": config.split.folds}
    settings = {**step_settings(config, "data"), "split.by": choose_held_out_unit(config)}
    if settings["split.by"] == SENTENCE:
        del settings["split.by"]  # runs from before there was this setting can go on
    return {**settings, **_resolve_layout(config), "files": files, **held_out_fold}


def _resolve_layout(config: Config) -> dict[str, Any]:
    """Return the layout that `auto` means for the labelled files, so that the layout may also be named in a rerun.

    If the files have several layouts, the layout of each file is returned.
    """
    if config.layout != AUTO:
        return {}
    layouts = {path: recognise_file_layout(path) for path in config.train}
    return {"layout": next(iter(layouts.values())) if len(set(layouts.values())) == 1 else layouts}


def read_and_split_labelled_files(config: Config, run: Run, fold: int | None = None) -> dict[str, Any]:
    """Read the labelled files and split their sentences into parts.

    Returns the entity types, the size of each part, and the number of faults in each file.

    fold: the number (from 0) of a fold, or None. The training sentences are divided into `split.folds` folds. This
        fold is left out of `train` and becomes the part `fold`.
    """

    def split_files() -> dict[str, Any]:
        files = {path: read_labelled_file(path, layout=config.layout) for path in config.train}
        for labelled in files.values():
            log.info("train: %s", describe_labelled_file(labelled))
        parts = split_files_into_parts(config, files, fold)
        with replace_folder(run.path("data")) as folder:
            for name, part in parts.items():
                write_labelled_sentences(folder / f"{name}.jsonl", part)
        counts = {name: count_sentences_characters_entities(part) for name, part in parts.items()}
        return {
            "types": sorted({span.type for sentence in parts[ALL_PART] for span in sentence.spans}),
            "characters": counts.pop(ALL_PART)["characters"],
            "held_out_by": choose_held_out_unit(config),
            "passages": {name: len({each.passage for each in parts[name]} - {None}) for name in counts},
            "parts": counts,
            "faults": {path: labelled.faults for path, labelled in files.items()},
        }

    return run.run_step("data", collect_manifest_inputs(config, fold), split_files)


def split_files_into_parts(
    config: Config, files: Mapping[str, LabelledFile], fold: int | None = None
) -> dict[str, list[LabelledSentence]]:
    """Return the sentences of labelled files by part, `train`, `dev`, `test`, and ALL_PART for all of them.

    files: the labelled files by path, in order.
    fold: see `read_and_split_labelled_files`.
    Raises DataError if the sentences are too few, or none of them has an entity.
    """
    sentences = _number_passages(config, [_split_into_sentences(path, labelled) for path, labelled in files.items()])
    parts = _split_into_parts(config, sentences, fold)
    names = ", ".join(files)
    if not any(sentence.spans for sentence in sentences):
        raise DataError(f"{names}: expected labelled entities, found none")
    if not parts["train"] or not parts["dev"]:
        raise DataError(
            f"{names}: expected enough sentences for a train and a dev part, found {len(sentences)}; "
            "sentences end at 。？！ and line breaks: add text or punctuation"
        )
    return {**parts, ALL_PART: sentences}


def choose_held_out_unit(config: Config) -> str:
    """Return what is held out as a whole: DOCUMENT, BLOCK or SENTENCE. `auto` chooses by the number of labelled files.

    Raises ConfigError if the files are too few to hold out some of them.
    """
    n_files = len(require_labelled_files(config))
    if config.split.by == AUTO:
        return DOCUMENT if n_files >= FILES_FOR_DOCUMENTS else BLOCK
    if config.split.by == DOCUMENT and n_files < FEWEST_FILES:
        raise ConfigError(
            f"split.by={DOCUMENT}: expected at least {FEWEST_FILES} labelled files, one a document, found {n_files}; "
            f"use split.by={BLOCK}"
        )
    return config.split.by


def _number_passages(config: Config, documents: Sequence[Sequence[LabelledSentence]]) -> list[LabelledSentence]:
    """Return the sentences of all files in order, each with the number of its passage.

    documents: the sentences of each file.
    """
    by = choose_held_out_unit(config)
    sentences = [sentence for document in documents for sentence in document]
    if by == SENTENCE:
        return sentences
    if by == DOCUMENT:
        passages = [i for i, document in enumerate(documents) for _ in document]
    else:
        share = min(share for share in (config.split.dev, config.split.test) if share > 0)
        passages = cut_into_blocks([len(document) for document in documents], share)
    return [replace(sentence, passage=passage) for sentence, passage in zip(sentences, passages, strict=True)]


def copy_data_without_fold(run: Run, fold_run: Run, i: int, n_folds: int, seed: int) -> dict[str, Any]:
    """Write the labelled data of a run into the run of a fold, with the fold's sentences apart.

    The training sentences of `run` are divided into `n_folds` folds. Fold i (from 0) is left out of `train` and becomes
    the part `fold`. The part `dev` is the same.
    """

    def copy_parts() -> dict[str, Any]:
        train = read_part(run, "train")
        parts = {**_move_fold_out_of_train(train, i, n_folds, seed), "dev": read_part(run, "dev")}
        with replace_folder(fold_run.path("data")) as folder:
            for name, part in parts.items():
                write_labelled_sentences(folder / f"{name}.jsonl", part)
        counts = {name: count_sentences_characters_entities(part) for name, part in parts.items()}
        return {"types": list(run.entity_types()), "parts": counts}

    inputs = {"data": run.digest_step_manifest("data"), "fold": i, "folds": n_folds, "seed": seed}
    return fold_run.run_step("data", inputs, copy_parts)


def _split_into_sentences(path: str, labelled: LabelledFile) -> list[LabelledSentence]:
    """Split a labelled file into sentences. Raises RuntimeError if a character or an entity is lost."""
    sentences = split_file_into_sentences(labelled)
    count = count_sentences_characters_entities(sentences)
    if (count["characters"], count["entities"]) != (len(labelled.text), len(labelled.spans)):
        raise RuntimeError(
            f"{path}: expected {len(labelled.text)} characters and {len(labelled.spans)} entities in its sentences, "
            f"found {count}"
        )
    return sentences


def _split_into_parts(
    config: Config, sentences: Sequence[LabelledSentence], fold: int | None
) -> dict[str, list[LabelledSentence]]:
    """Split sentences into `train`, `dev` and `test`. If a fold is given, move it from `train` to the part `fold`."""
    parts = split_train_dev_test(sentences, config.split.dev, config.split.test, config.seed)
    if fold is not None:
        parts |= _move_fold_out_of_train(parts["train"], fold, config.split.folds, config.seed)
    return parts


def _move_fold_out_of_train(
    train: Sequence[LabelledSentence], i: int, n_folds: int, seed: int
) -> dict[str, list[LabelledSentence]]:
    """Return the sentences of fold i as the part `fold`, and the others as `train`."""
    fold = split_folds(train, n_folds, seed)[i]
    fold_texts = {sentence.text for sentence in fold}
    return {"train": [sentence for sentence in train if sentence.text not in fold_texts], FOLD_PART: fold}


def count_sentences_characters_entities(sentences: Sequence[LabelledSentence]) -> dict[str, int]:
    """Return the numbers of `sentences`, `characters` and `entities`."""
    return {
        "sentences": len(sentences),
        "characters": sum(len(sentence.text) for sentence in sentences),
        "entities": sum(len(sentence.spans) for sentence in sentences),
    }


def read_part(run: Run, name: str) -> list[LabelledSentence]:
    """Read the sentences of a part (`train`, `dev`, `test`, FOLD_PART or ALL_PART), in the order of the files."""
    return read_labelled_sentences(run.local_path("data", f"{name}.jsonl"))


def group_neighbours_by_text(run: Run, group_size: int) -> dict[str, tuple[str, ...]]:
    """Return, by the text of each labelled sentence, the group of consecutive sentences that it belongs to.

    The groups are formed before the sentences are split into parts. So a held-out sentence has the neighbours that it
    has in its file, as in a corpus. A text that occurs more than once gets the group of its first occurrence. Blank
    sentences have no group.

    group_size: the number of sentences in a group; the last group may be smaller.
    """
    texts = [sentence.text for sentence in read_part(run, ALL_PART) if sentence.text.strip()]
    group_by_text: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(texts), group_size):
        group = tuple(texts[start : start + group_size])
        for text in group:
            group_by_text.setdefault(text, group)
    return group_by_text
