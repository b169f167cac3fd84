"""Run the whole benchmark: measure every part in order with a run's models and real text.

All parts run in one Ray task, except vLLM and the optional comparison with Ray.
"""

from rayner.bench.decoding_speed import measure_decoding
from rayner.bench.end_to_end import compare_ray_with_one_process
from rayner.bench.llm_stage import measure_llm_stage
from rayner.bench.quality import measure_f1_differences
from rayner.bench.setup import ALL_THREADS, prepare_benchmark
from rayner.bench.slm_speed import measure_slm
from rayner.bench.timing import BenchmarkRow, format_markdown_table
from rayner.cluster.task import run_in_task
from rayner.config.settings import Config, config_to_dict
from rayner.modeling.devices import set_torch_threads
from rayner.runs.json_files import write_json
from rayner.runs.progress import log
from rayner.runs.run_folder import Run


def run_and_write_benchmark(config: Config, run: Run) -> list[BenchmarkRow]:
    """Measure all parts, log the table, and write `bench.json` into the run folder; return the rows."""
    score = config.score
    rows: list[BenchmarkRow] = run_in_task(measure_models, config, run, cpus=score.cpus, gpus=score.gpus)
    if config.bench.end_to_end:
        rows += compare_ray_with_one_process(config, run)
    write_json(run.path("bench.json"), [config_to_dict(row) for row in rows])
    log.info("\n%s", format_markdown_table(rows))
    return rows


def measure_models(config: Config, run: Run) -> list[BenchmarkRow]:
    """Measure all parts that run in one process, with all threads; return the rows."""
    set_torch_threads(ALL_THREADS)
    setup = prepare_benchmark(config, run)
    rows: list[BenchmarkRow] = []
    for measure in (measure_llm_stage, measure_decoding, measure_slm, measure_f1_differences):
        rows += measure(setup)
        log.info("%s: done", measure.__name__)
    return rows
