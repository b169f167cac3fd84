"""Run the paper's experiment: evaluate both models and their fusion on each dataset, with each LLM setup.

An LLM setup is a way to train and prompt the LLM. A cell is one combination of dataset, seed and LLM setup. Every cell
has its own run folder inside the main run folder, such as `A/13/sft-similarity-prompt`.

Data, tagger and index do not depend on the LLM setup. They are made in the first cell of a dataset and seed, and copied
into the other cells of that dataset and seed. The trained LLM does not depend on how it answers, so a cell with free
answers and the same cell without share it. A step that is done is skipped, so the same command resumes an interrupted
experiment.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rayner.config.corpus_settings import CorpusConfig
from rayner.config.model_settings import LlmConfig
from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import FREE_ANSWERS, Config
from rayner.errors import ConfigError, DataError
from rayner.report.comparison_tables import rows_to_csv, rows_to_markdown
from rayner.report.paper_comparison import (
    FreeAnswerRow,
    FusionGain,
    ScoreRow,
    average_over_seeds,
    list_score_rows_with_oracle,
    measure_fusion_gain,
)
from rayner.report.run_report import read_evaluation
from rayner.runs.json_files import write_json
from rayner.runs.progress import log
from rayner.runs.run_folder import Run, replace_folder
from rayner.runs.storage import atomic_writer
from rayner.steps.forecast.workload import READY
from rayner.steps.pipeline import run_pipeline
from rayner.steps.preflight import (
    check_and_describe_models,
    check_and_describe_training_inputs,
    describe_run_folder,
)
from rayner.text.predictions import FreeAnswerFaults

# Steps that do not depend on the LLM setup, and those that do not depend on how the LLM answers, with the folder that
# each writes.
SHARED_STEPS = {"data": ("data",), "train_slm": ("models", "slm"), "build_index": ("index",)}
SHARED_LLM_STEPS = {"cross_fit_slm": ("slm_folds",), "train_llm": ("models", "llm")}


@dataclass(frozen=True)
class ExperimentCell:
    """One combination of dataset, seed and LLM setup.

    dataset: the name of the dataset.
    labelled_path: the labelled file of the dataset.
    seed: the seed of split and training.
    llm_setup: how the LLM is trained and prompted, as in `reproduce.llm_setups`.
    """

    dataset: str
    labelled_path: str
    seed: int
    llm_setup: str

    @property
    def folder_parts(self) -> tuple[str, str, str]:
        """The path of the cell's folder inside the run folder, as parts: dataset, seed, LLM setup."""
        folder = re.sub(r"[ +()]+", "-", self.llm_setup).strip("-")
        return self.dataset, str(self.seed), folder.lower()

    @property
    def trained_llm(self) -> tuple[str, int, str]:
        """What the trained LLM depends on: all but how it answers."""
        return self.dataset, self.seed, self.llm_setup.removesuffix(FREE_ANSWERS)


def list_cells(config: Config) -> list[ExperimentCell]:
    """List the cells in the order in which they are run. Raises ConfigError if the settings name no dataset."""
    if not config.datasets:
        raise ConfigError("datasets: expected labelled sets by name (datasets.A=FILE), found none")
    return [
        ExperimentCell(name, path, config.seed + i, llm_setup)
        for name, path in config.datasets.items()
        for i in range(config.reproduce.n_seeds)
        for llm_setup in config.reproduce.llm_setups
    ]


def adapt_llm_settings(llm: LlmConfig, llm_setup: str) -> LlmConfig:
    """Adapt the LLM's settings to one of `reproduce.llm_setups`. `as configured` changes nothing.

    Raises ConfigError if there is no LLM, or if the setup does not train it and it is made from scratch.
    """
    if llm_setup == "as configured":
        return llm
    if llm.model == "none":
        raise ConfigError(
            f"reproduce.llm_setups: expected `as configured` with llm.model=none, which has no LLM, found {llm_setup!r}"
        )
    if llm_setup.endswith(FREE_ANSWERS):
        llm = replace(llm, decoding="free")
    llm = replace(llm, examples="similar" if "similarity prompt" in llm_setup else "fixed")
    if llm_setup.startswith("SFT"):
        return llm
    if llm.model == "scratch":
        raise ConfigError(
            f"reproduce.llm_setups: expected a pretrained LLM for {llm_setup!r}, which trains none, "
            "found llm.model=scratch"
        )
    return replace(llm, full_epochs=0, epochs=0)


def cell_config(config: Config, run: Run, cell: ExperimentCell) -> Config:
    """Return the configuration of a cell."""
    return replace(
        config,
        run=str(run.path(*cell.folder_parts)),
        train=[cell.labelled_path],
        corpus=CorpusConfig(),
        seed=cell.seed,
        llm=adapt_llm_settings(config.llm, cell.llm_setup),
    )


def check_and_describe_reproduction(config: Config, run: Run) -> list[str]:
    """Check every cell and return the lines that `--dry-run` prints.

    Raises ConfigError or DataError for the first problem.
    """
    lines: list[str] = []
    checked_setups = set[str]()  # the models of a setup are the same for every dataset and seed
    for cell in list_cells(config):
        adapted = cell_config(config, run, cell)
        check_setting_values_and_combinations(adapted)  # a setup may not fit the other settings
        cell_lines = check_and_describe_training_inputs(adapted)
        if cell.llm_setup not in checked_setups:
            checked_setups.add(cell.llm_setup)
            cell_lines += check_and_describe_models(adapted)
        lines += [line for line in [*cell_lines, describe_run_folder(run)] if line not in lines]
    return [*lines, f"{len(list_cells(config))} cells", READY]


def reproduce(config: Config, run: Run) -> dict[str, Any]:
    """Run every cell and return the scores of all cells.

    After each cell, write the scores of all finished cells to `reproduction.json`, `.csv` and `.md`.
    """
    cells = list_cells(config)
    for i, cell in enumerate(cells):
        log.info("cell %d/%d: %s", i + 1, len(cells), ", ".join(cell.folder_parts))
        first = next(other for other in cells if (other.dataset, other.seed) == (cell.dataset, cell.seed))
        trained = next(other for other in cells if other.trained_llm == cell.trained_llm)
        cell_run = Run(run.path(*cell.folder_parts))
        _copy_shared_steps(SHARED_STEPS, Run(run.path(*first.folder_parts)), cell_run)
        _copy_shared_steps(SHARED_LLM_STEPS, Run(run.path(*trained.folder_parts)), cell_run)
        run_pipeline(cell_config(config, run, cell), cell_run)
        results, markdown = _write_and_format_results(run, cells[: i + 1])
    log.info("\n%s", markdown)
    return results


def _copy_shared_steps(steps: Mapping[str, tuple[str, ...]], source: Run, target: Run) -> None:
    """Copy steps that two cells share and that the first of them has done.

    steps: the folder that each step writes, as parts.

    The manifest of a step is copied last. So a step whose copy was interrupted has no manifest and is copied again.
    """
    if source == target:
        return
    for step, parts in steps.items():
        if source.has_step(step) and not target.has_step(step):
            with replace_folder(target.path(*parts)) as folder:
                shutil.copytree(source.local_path(*parts), folder, dirs_exist_ok=True)
            target.copy_step_manifest(step, source)


def _write_and_format_results(run: Run, cells: list[ExperimentCell]) -> tuple[dict[str, Any], str]:
    """Write the scores of all systems and the gains by fusion for some cells. Return them as JSON and as Markdown."""
    rows, gains, free_answers = list[ScoreRow](), list[FusionGain](), list[FreeAnswerRow]()
    for cell in cells:
        cell_run = Run(run.path(*cell.folder_parts))
        evaluation = read_evaluation(cell_run)
        if evaluation is None:
            raise DataError(f"{cell_run.path('evaluation.json')}: expected scores, found none. Set split.test above 0.")
        rows += list_score_rows_with_oracle(cell.dataset, cell.seed, cell.llm_setup, evaluation)
        gain = measure_fusion_gain(cell.dataset, cell.seed, cell.llm_setup, evaluation)
        gains += [gain] if gain else []
        if counts := cell_run.step_result("score")["test"].get("free_answers"):
            free_answers.append(FreeAnswerRow(cell.dataset, cell.seed, cell.llm_setup, FreeAnswerFaults(**counts)))
    tables: dict[str, list[Any]] = {
        "rows": rows, "gains": gains, "seed_means": average_over_seeds(rows), "free_answers": free_answers,
    }  # fmt: skip
    results = {name: [asdict(record) for record in records] for name, records in tables.items()}
    write_json(run.path("reproduction.json"), results)
    markdown = rows_to_markdown(rows, gains, free_answers)
    for suffix, text in (("csv", rows_to_csv(rows)), ("md", markdown)):
        with atomic_writer(run.path(f"reproduction.{suffix}")) as stream:
            stream.write(text.encode())
    return results, markdown
