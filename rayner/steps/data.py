"""The labelled data of a run: read, divided and kept, once for all steps."""

from typing import Any

from rayner.config.plugins import version
from rayner.config.settings import Config, resolved
from rayner.corpus.examples import divide, parts_of, read_examples, sentences_of, write_examples
from rayner.corpus.readers import read_labelled
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import Run, file_digest, whole_folder
from rayner.text.labelled import Example

ALL, FOLD = "all", "fold"


def labelled_files(config: Config) -> list[str]:
    """The labelled files. Raises ConfigError where none is given."""
    if not config.train:
        raise ConfigError("train: expected labelled files, found none")
    return config.train


def inputs(config: Config) -> dict[str, Any]:
    """What the labelled data of a run depends on. Raises DataError for a file that is not there."""
    files = {}
    for path in labelled_files(config):
        try:
            files[path] = file_digest(path)
        except OSError as error:
            raise DataError(f"{path}: expected a labelled file, found: {error.strerror}") from error
    split = resolved(config.split)
    if config.split.fold < 0:  # then the division is the same with and without folds
        del split["folds"], split["fold"]
    return {"files": files, "layout": version("layout", config.layout), "seed": config.seed, "split": split}


def prepare(config: Config, run: Run) -> dict[str, Any]:
    """Read and divide the labelled files; the facts: sizes, types, faults met in each file."""

    def work() -> dict[str, Any]:
        examples: list[Example] = []
        faults: dict[str, dict[str, int]] = {}
        characters = 0
        for path in config.train:
            labelled = read_labelled(path, layout=config.layout)
            own = sentences_of(labelled.text, labelled.spans)
            if sum(len(e.text) for e in own) != len(labelled.text) or sum(len(e.spans) for e in own) != len(
                labelled.spans
            ):
                raise RuntimeError(f"{path}: sentences do not add up to the file")
            examples += own
            characters += len(labelled.text)
            faults[path] = labelled.faults
        parts = divide(examples, config.split.dev, config.split.test, config.seed)
        if config.split.fold >= 0:
            folds = parts_of(parts["train"], config.split.folds, config.seed)
            parts[FOLD] = folds.pop(config.split.fold)
            held = {example.text for example in parts[FOLD]}
            parts["train"] = [example for example in parts["train"] if example.text not in held]
        if not parts["train"] or not parts["dev"]:
            raise DataError(f"{', '.join(config.train)}: {len(examples)} sentences are too few to divide")
        with whole_folder(run.path("data")) as folder:
            for name, part in {**parts, ALL: examples}.items():
                write_examples(folder / f"{name}.jsonl", part)
        types = sorted({span.type for example in examples for span in example.spans})
        if not types:
            raise DataError(f"{', '.join(config.train)}: expected labelled entities, found none")
        counts = {name: {"sentences": len(part), "characters": sum(len(e.text) for e in part),
                         "entities": sum(len(e.spans) for e in part)} for name, part in parts.items()}  # fmt: skip
        return {"types": types, "characters": characters, "parts": counts, "faults": faults}

    return run.once("data", inputs(config), work)


def part(run: Run, name: str) -> list[Example]:
    """The sentences of `train`, `dev`, `test` or `fold`, or `all` of them as they follow each other in the files."""
    return read_examples(run.local("data", f"{name}.jsonl"))


def neighbours(run: Run, size: int) -> dict[str, tuple[str, ...]]:
    """Each labelled sentence with the run of `size` sentences in which it stands in its file, itself among them.

    Held-out sentences stand among training ones there: what they share with their neighbours is what the sentences of
    a corpus share, which it would not be among the held-out ones alone. A sentence that occurs twice counts once.
    """
    texts = [example.text for example in part(run, ALL) if example.text.strip()]
    found: dict[str, tuple[str, ...]] = {}
    for at in range(0, len(texts), size):
        group = tuple(texts[at : at + size])
        for text in group:
            found.setdefault(text, group)
    return found
