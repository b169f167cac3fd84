"""The benchmark runs on any finished run; what it compares does the same work."""

from dataclasses import replace

import pytest

from rayner.bench.benchmark import run_and_write_benchmark
from rayner.bench.end_to_end import tag_in_one_process
from rayner.bench.llm_stage import PublishedMethod
from rayner.bench.setup import build_llm_stage, load_benchmark_gate, run_and_observe_stage
from rayner.bench.timing import (
    BenchmarkRow,
    find_fastest_batch_size,
    format_markdown_table,
    measure_median_seconds_in_turns,
)
from rayner.config.settings import BenchConfig
from rayner.corpus.prediction_tables import read_predictions
from rayner.runs.json_files import read_json
from rayner.steps.tag.stages import UnitSegments
from rayner.text.segmentation import bounds_without_whitespace
from tests.cluster.driver import no_device_in_this_process
from tests.cluster.small import copied, rows_of


@pytest.mark.slow  # it pauses between works
def test_works_take_turns_and_a_first_round_is_not_counted():
    calls = []
    seconds = measure_median_seconds_in_turns(3, {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")})
    assert calls == ["a", "b"] * 4
    assert set(seconds) == {"a", "b"}
    assert all(value >= 0 for value in seconds.values())


def test_the_best_batch_size_is_the_fastest():
    steps = {8: 3e6, 16: 1e5, 32: 2e6, 64: 4e6}
    assert find_fastest_batch_size(lambda size: sum(range(int(steps[size])))) == 16


def test_a_table_has_a_line_for_each_row():
    assert format_markdown_table([BenchmarkRow("speed", "peer", "2.0 times", "1 time")]).splitlines()[2] == (
        "| speed | peer | 2.0 times | 1 time |  |"
    )


@pytest.fixture
def unanswered(run):
    """A few dev sentences with the small model's predictions alone."""
    rows = read_predictions(run.path("scores", "dev.parquet"))[:8]
    return UnitSegments("dev", [replace(row, llm=None) for row in rows])


@pytest.mark.slow
def test_the_published_way_asks_about_every_sentence_with_examples_of_its_own(run, config, unanswered):
    published = PublishedMethod(run_and_observe_stage(build_llm_stage(config, run, None), unanswered))
    texts = [row.text[slice(*bounds_without_whitespace(row.text))] for row in unanswered.segments]
    assert [request.text for request in published.requests] == texts
    assert all(len(request.examples) == config.index.k for request in published.requests)
    assert published.tokens == sum(map(len, published.retrieve_and_build_prompts())) + sum(published.answer_lengths)


@pytest.mark.slow
def test_the_requests_of_an_observed_stage_have_its_answers_as_drafts(run, config, unanswered):
    stage = build_llm_stage(config, run, load_benchmark_gate(config, run))
    answers = [segment.llm for segment in stage(unanswered).segments if segment.llm is not None]
    requests = run_and_observe_stage(stage, unanswered).requests
    assert [request.draft for request in requests] == [answer.spans for answer in answers]


@pytest.mark.slow
@pytest.mark.drill
def test_a_benchmark_of_a_small_run_prints_every_figure(run, config, tmp_path):
    copy = copied(run, tmp_path, "data", "steps", "models", "index", "scores", "fusion.json")
    small = BenchConfig(sentences=12, rounds=1, prompt_group=2, gate_share=0.5, gate_weight=0.4, end_to_end=True)
    with no_device_in_this_process():
        rows = run_and_write_benchmark(replace(config, bench=small), copy)
    by_figure = {row.figure: row for row in rows}
    assert len(by_figure) == len(rows) == 23
    assert by_figure["sentences fused alike, exact"].value == "12 of 12"
    assert [row["figure"] for row in read_json(copy.path("bench.json"))] == [row.figure for row in rows]


@pytest.mark.slow
def test_one_process_tags_like_the_job(run, config, tmp_path):
    tag_in_one_process(config, run, tmp_path)
    for name in ("documents", "entities", "segments"):
        assert rows_of(tmp_path, name) == rows_of(run.path("tagged"), name)
