"""The benchmark runs on any finished run; what it compares does the same work."""

from dataclasses import replace

import pytest

from rayner.bench.benchmark import run_benchmark
from rayner.bench.end_to_end import tag_in_one_process
from rayner.bench.llm_stage import PublishedMethod, build_llm_stage, load_benchmark_gate, observe_stage
from rayner.bench.timing import BenchmarkRow, fastest_batch_size, format_markdown_table, time_in_turns
from rayner.config.settings import BenchConfig
from rayner.corpus.prediction_tables import read_predictions
from rayner.runs.run_folder import read_json
from rayner.steps.tag.stages import UnitPredictions
from rayner.text.segmentation import bounds_without_whitespace
from tests.cluster.small import copied, rows_of


@pytest.mark.slow  # it pauses between works
def test_works_take_turns_and_a_first_round_is_not_counted():
    done = []
    seconds = time_in_turns(3, {"a": lambda: done.append("a"), "b": lambda: done.append("b")})
    assert done == ["a", "b"] * 4
    assert set(seconds) == {"a", "b"}
    assert all(value >= 0 for value in seconds.values())


def test_the_best_batch_size_is_the_fastest():
    waits = {8: 3e6, 16: 1e5, 32: 2e6, 64: 4e6}
    assert fastest_batch_size(lambda size: sum(range(int(waits[size])))) == 16


def test_a_table_has_a_row_for_each_line():
    assert format_markdown_table([BenchmarkRow("speed", "peer", "2.0 times", "1 time")]).splitlines()[2] == (
        "| speed | peer | 2.0 times | 1 time |  |"
    )


@pytest.mark.slow
def test_the_published_way_asks_about_every_sentence_with_examples_of_its_own(run, config):
    rows = [replace(row, llm=None) for row in read_predictions(run.path("scores", "dev.parquet"))[:8]]
    peer = PublishedMethod(observe_stage(build_llm_stage(config, run, None), UnitPredictions("bench", rows)))
    assert [task.text for task in peer.tasks] == [row.text[slice(*bounds_without_whitespace(row.text))] for row in rows]
    assert all(len(task.examples) == config.index.k for task in peer.tasks)
    assert peer.tokens == sum(map(len, peer.build_prompts())) + sum(peer.lengths)


@pytest.mark.slow
def test_what_a_stage_asks_comes_with_its_answers_as_drafts(run, config):
    rows = [replace(row, llm=None) for row in read_predictions(run.path("scores", "dev.parquet"))[:8]]
    stage = build_llm_stage(config, run, load_benchmark_gate(config, run))
    unit = UnitPredictions("dev", rows)
    answered = [item for item in stage(unit).segments if item.llm is not None]
    assert [task.draft for task in observe_stage(stage, unit).tasks] == [item.llm.spans for item in answered]


@pytest.mark.slow
def test_a_benchmark_of_a_small_run_prints_every_figure(run, config, tmp_path):
    mine = copied(run, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json")
    small = BenchConfig(sentences=12, rounds=1, group=2, share=0.5, weight=0.4, end_to_end=True)
    lines = run_benchmark(replace(config, bench=small), mine)
    figures = {line.figure: line for line in lines}
    assert len(figures) == len(lines) == 34
    assert figures["sentences fused alike, exact"].value == "12 of 12"
    assert [item["figure"] for item in read_json(mine.path("bench.json"))] == [line.figure for line in lines]


@pytest.mark.slow
def test_one_process_tags_like_the_job(run, config, tmp_path):
    tag_in_one_process(config, run, tmp_path)
    for table_ in ("documents", "entities", "segments"):
        assert rows_of(tmp_path, table_) == rows_of(run.path("tagged"), table_)
