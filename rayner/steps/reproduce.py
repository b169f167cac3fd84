"""The paper's experiment: each dataset, each way to train and ask the LLM, by both models and their fusion.

A cell (dataset, seed, setting) is a run of its own below the run folder, `A/13/sft-similarity-prompt`; what does not
depend on the setting (data, tagger, index) is made in the first cell of a dataset and copied into the others. A cell
that is done stays done, so the same command goes on where it stopped.
"""

import shutil
from dataclasses import dataclass, replace
from typing import Any

from rayner.config.settings import Config, LlmConfig
from rayner.errors import ConfigError
from rayner.report.paper_comparison import list_score_rows, measure_fusion_gain, rows_to_csv, rows_to_markdown
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, read_json, replace_folder, write_json
from rayner.runs.storage import atomic_writer
from rayner.steps.pipeline import run_pipeline
from rayner.steps.preflight import check_training

# Steps that do not depend on how the LLM is trained and asked, and what each makes.
SHARED_STEPS = {"data": ("data",), "train_slm": ("models", "slm"), "build_index": ("index",)}


@dataclass(frozen=True)
class Cell:
    """A dataset (its name and file), a seed, and how the LLM is trained and asked."""

    dataset: str
    labelled_path: str
    seed: int
    setting: str

    @property
    def folder_parts(self) -> tuple[str, str, str]:
        """Its place below the run folder."""
        return self.dataset, str(self.seed), self.setting.replace(" + ", "-").replace(" ", "-").lower()


def list_cells(config: Config) -> list[Cell]:
    """All cells in order. Raises ConfigError without a dataset."""
    if not config.datasets:
        raise ConfigError("datasets: expected labelled sets by name (datasets.A=FILE), found none")
    return [
        Cell(name, path, config.seed + i, setting)
        for name, path in config.datasets.items()
        for i in range(config.reproduce.n_seeds)
        for setting in config.reproduce.llm_setups
    ]


def llm_settings_of(llm: LlmConfig, setting: str) -> LlmConfig:
    """The LLM's settings under one of the paper's, or under `as configured`.

    Raises ConfigError where an LLM from scratch would be asked without training.
    """
    if setting == "as configured":
        return llm
    llm = replace(llm, examples="similar" if setting.endswith("similarity prompt") else "fixed")
    if setting.startswith("SFT"):
        return llm
    if llm.model == "scratch":
        raise ConfigError(
            f"reproduce.llm_setups: expected a pretrained LLM for {setting!r}, which trains none, "
            "found llm.model=scratch"
        )
    return replace(llm, full_epochs=0, epochs=0)


def cell_config(config: Config, run: Run, cell: Cell) -> Config:
    """The configuration of a cell."""
    return replace(
        config,
        run=str(run.path(*cell.folder_parts)),
        train=[cell.labelled_path],
        corpus=None,
        seed=cell.seed,
        llm=llm_settings_of(config.llm, cell.setting),
    )


def check_reproduction(config: Config, run: Run) -> list[str]:
    """What would be done. Raises ConfigError or DataError for the first thing that is wrong."""
    lines = []
    for cell in list_cells(config):
        told = check_training(cell_config(config, run, cell), run)
        lines += [line for line in told if line not in lines]
    return [*lines, f"{len(list_cells(config))} cells"]


def reproduce(config: Config, run: Run) -> dict[str, Any]:
    """Do every cell; write `reproduction.json`, `.csv` and `.md` after each, over those that are done."""
    wanted = list_cells(config)
    for i, cell in enumerate(wanted):
        log.info("cell %d/%d: %s", i + 1, len(wanted), ", ".join(cell.folder_parts))
        mine = Run(run.path(*cell.folder_parts))
        _adopt(Run(run.path(*wanted[_first(wanted, i)].folder_parts)), mine)
        run_pipeline(cell_config(config, run, cell), mine)
        found = _write(run, wanted[: i + 1])
    log.info("\n%s", rows_to_markdown(found["rows"], found["gains"]))
    return found


def _first(wanted: list[Cell], i: int) -> int:
    """The first cell of the same dataset and seed."""
    return next(k for k, cell in enumerate(wanted) if (cell.dataset, cell.seed) == (wanted[i].dataset, wanted[i].seed))


def _adopt(source: Run, target: Run) -> None:
    """Copy what both cells share. The manifest comes last, so a step that was not copied whole is made again."""
    if source == target:
        return
    for step, folder in SHARED_STEPS.items():
        if not target.has_step(step):
            with replace_folder(target.path(*folder)) as mine:
                shutil.copytree(source.local_path(*folder), mine, dirs_exist_ok=True)
            target.copy_step_manifest(step, source)


def _write(run: Run, done: list[Cell]) -> dict[str, Any]:
    rows, gained = [], []
    for cell in done:
        evaluation = read_json(run.path(*cell.folder_parts, "evaluation.json"))
        rows += list_score_rows(cell.dataset, cell.seed, cell.setting, evaluation)
        gained.append(measure_fusion_gain(cell.dataset, cell.seed, cell.setting, evaluation))
    found = {"rows": rows, "gains": gained}
    write_json(run.path("reproduction.json"), found)
    for name, text in (("csv", rows_to_csv(rows)), ("md", rows_to_markdown(rows, gained))):
        with atomic_writer(run.path(f"reproduction.{name}")) as stream:
            stream.write(text.encode())
    return found
