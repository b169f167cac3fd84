"""Compare the time to tag a whole corpus with Ray and in one process without Ray."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from rayner.bench.setup import ALL_THREADS
from rayner.bench.timing import BenchmarkRow, measure_seconds
from rayner.cluster.task import run_in_task
from rayner.config.settings import Config
from rayner.corpus.reading import require_corpus
from rayner.corpus.unit_records import InputDigests
from rayner.modeling.devices import set_torch_threads
from rayner.runs.run_folder import Run
from rayner.steps.fusion_rules import read_tuned_fusion
from rayner.steps.tag.plan import iter_plan_parts, survey_corpus, write_plan_and_documents
from rayner.steps.tag.seams import predict_unit
from rayner.steps.tag.stages import load_stages
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.steps.tag.tagging_rule import choose_tagging_rule
from rayner.steps.tag.units import fuse_and_write_unit, read_unit


def compare_ray_with_one_process(config: Config, run: Run) -> list[BenchmarkRow]:
    """Time `tag_corpus` and the same stages in one process. Each is timed once; Ray's start is included."""
    n_chars = survey_corpus(
        require_corpus(config.corpus.path),
        config.score.unit_chars,
        config.tag.max_segment_chars,
        config.corpus.encoding,
    ).characters
    score = config.score
    with tempfile.TemporaryDirectory() as folder:
        one_process = run_in_task(
            time_tagging_in_one_process, config, run, Path(folder) / "one_process", cpus=score.cpus, gpus=score.gpus
        )
        with_ray = measure_seconds(partial(tag_corpus, replace(config, out=str(Path(folder) / "ray")), run))
    remark = f"{with_ray:.0f} s and {one_process:.0f} s for {n_chars:,} characters"
    ratio = f"{one_process / with_ray:.2f}"
    return [BenchmarkRow("tag_corpus end to end", "one process without Ray", ratio, "0.85", remark)]


def time_tagging_in_one_process(config: Config, run: Run, out: Path) -> float:
    """Return the seconds that `tag_in_one_process` takes."""
    return measure_seconds(partial(tag_in_one_process, config, run, out))


def tag_in_one_process(config: Config, run: Run, out: Path) -> None:
    """Run the stages of tagging one after another with all threads, and write the tables to `out`."""
    tagging = choose_tagging_rule(config, read_tuned_fusion(run))
    slm, llm = load_stages(config, run, tagging.gate, asks_llm=tagging.asks_llm)
    set_torch_threads(ALL_THREADS)
    corpus, limit = require_corpus(config.corpus.path), config.tag.max_segment_chars
    parts = write_plan_and_documents(corpus, config.score.unit_chars, out, limit, config.corpus.encoding).plan_parts
    for unit in (unit for part in iter_plan_parts(out, parts) for unit in part):
        predictions = predict_unit(read_unit(unit, out, parts), slm, llm)
        fuse_and_write_unit(
            predictions, out=out, rule=tagging.rule, calibration=tagging.calibration, inputs=InputDigests("", "")
        )
