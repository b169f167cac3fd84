"""Tagging a whole corpus with Ray against the same stages in one process."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from rayner.bench.llm_stage import ALL_THREADS
from rayner.bench.timing import BenchmarkRow, measure_seconds
from rayner.config.settings import Config
from rayner.corpus.reading import require_corpus
from rayner.fusion.deciding import chosen
from rayner.modeling.training import set_torch_threads
from rayner.runs.run_folder import Run, read_json
from rayner.steps.tag.plan import iter_plan_parts, survey_corpus, write_plan
from rayner.steps.tag.stages import LlmStage, SlmStage
from rayner.steps.tag.tag_corpus import build_gate, tag_corpus
from rayner.steps.tag.units import read_unit, write_unit


def measure_end_to_end(config: Config, run: Run) -> list[BenchmarkRow]:
    """Characters a second of `tag_corpus`, start-up included, against one process; once each."""
    corpus = survey_corpus(require_corpus(config), config.score.unit_chars)
    with tempfile.TemporaryDirectory() as folder:
        alone = measure_seconds(partial(tag_in_one_process, config, run, Path(folder) / "alone"))
        tagged = replace(config, out=str(Path(folder) / "ray"))
        on_ray = measure_seconds(partial(tag_corpus, tagged, run))
    remark = f"{on_ray:.0f} s and {alone:.0f} s for {corpus.characters:,} characters"
    return [BenchmarkRow("tag_corpus end to end", "one process without Ray", f"{alone / on_ray:.2f}", "0.85", remark)]


def tag_in_one_process(config: Config, run: Run, out: Path) -> None:
    """The stages of tagging, one after the other, with all threads; writes the tables."""
    fusion = read_json(run.path("fusion.json"))
    slm, llm = SlmStage(config, run), LlmStage(config, run, build_gate(config, fusion))
    set_torch_threads(ALL_THREADS)
    write_plan(require_corpus(config), config.score.unit_chars, out)
    for unit in (unit for part in iter_plan_parts(out) for unit in part):
        done = llm(slm(read_unit(unit, out)))
        write_unit(done, out=out, rule=chosen(fusion), calibration_weights=fusion["calibration"])
