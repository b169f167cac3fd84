"""Check that a folder is a trained run, and say what it is or lacks if it is not."""

from rayner.corpus.run_record import RUN_RECORD_FILE
from rayner.corpus.text_files import format_similar_name_hint
from rayner.errors import ConfigError
from rayner.runs.run_folder import SETTINGS_FILE, Run
from rayner.runs.storage import StoragePath

# In the order in which they are done. Only runs with an LLM have the other steps.
_STEPS = {
    "data": "the split of the labelled files",
    "train_slm": "the small model",
    "score": "the scores of the held-out sentences",
    "tune_fusion": "the fusion rule",
}
_HOW_TO_MAKE = "`rayner run laptop run={run} train=FILE` makes a run from labelled files"


def is_run_folder(folder: StoragePath) -> bool:
    """Return whether a folder holds the first step of a run, finished or not."""
    return Run(folder).has_step("data")


def require_trained_run(run: Run) -> None:
    """Raise ConfigError, which says what is missing and which command makes it, unless a folder is a trained run."""
    missing = [step for step in _STEPS if not run.has_step(step)]
    if missing:
        raise ConfigError(_describe_folder_without_steps(run, missing))
    if not run.path(SETTINGS_FILE).exists():
        raise ConfigError(
            f"{run.path(SETTINGS_FILE)}: expected the settings of the run, found none, because an earlier version of "
            "rayner tuned its fusion: give the command that made the run once more. It keeps all finished steps and "
            "writes the file"
        )


def _describe_folder_without_steps(run: Run, missing: list[str]) -> str:
    folder, how_to_make = run.root, _HOW_TO_MAKE.format(run=run.root)
    expected = f"{folder}: expected the folder of a trained run, found "
    if not folder.exists():
        return f"{expected}nothing of that name{format_similar_name_hint(folder)}; {how_to_make}"
    if not folder.is_dir():
        return f"{expected}a file; {how_to_make}"
    if (folder / RUN_RECORD_FILE).exists() or Run(folder).has_step("plan"):
        parent = folder.parent
        hint = f"name the run itself ({parent})" if is_run_folder(parent) else "name the run that tagged it"
        return f"{expected}a tagged corpus: {hint}"
    if "data" in missing:
        return f"{expected}no finished step in steps/: {how_to_make}"
    return (
        f"{expected}a run without {_STEPS[missing[0]]} (step {missing[0]}): give the command that began the run once "
        "more. It keeps all finished steps"
    )
