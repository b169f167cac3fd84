"""Labelled data as a run keeps it: its parts, and the neighbours of a sentence in its file."""

import json
import logging
from dataclasses import replace

import pytest

from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.config.settings import Config, SplitConfig
from rayner.errors import ConfigError, DataError
from rayner.runs.run_folder import Run
from rayner.steps import data
from rayner.steps.score import find_texts_sharing_examples, read_unpredicted_segments
from tests.cluster.small import write_inputs


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    made = Run(folder / "run")
    data.read_and_split_labelled_files(write_inputs(folder), made)
    return made


def test_all_sentences_stand_in_the_order_of_the_file_and_each_in_one_part(prepared):
    everything = [example.text for example in data.read_part(prepared, data.ALL_PART)]
    parts = {name: [example.text for example in data.read_part(prepared, name)] for name in ("train", "dev", "test")}
    assert sorted(everything) == sorted(text for texts in parts.values() for text in texts)
    for texts in parts.values():
        rest = iter(everything)
        assert all(text in rest for text in texts)  # in the same order


@pytest.mark.parametrize("size", [2, 5])
def test_neighbours_are_those_beside_which_a_sentence_stands_whatever_their_part(prepared, size):
    everything = [example.text for example in data.read_part(prepared, data.ALL_PART) if example.text.strip()]
    found = data.group_neighbours_by_text(prepared, size)
    assert found.keys() == set(everything)
    for text, group in found.items():
        at = everything.index(text)
        assert group == tuple(everything[at - at % size : at - at % size + size])
        assert text in group
    held_out = read_unpredicted_segments(prepared, "test")
    train = {example.text for example in data.read_part(prepared, "train")}
    groups = find_texts_sharing_examples(prepared, held_out, size)
    assert [found[row.text] for row in held_out] == groups
    assert any(train.intersection(group) for group in groups)


def test_who_shares_with_nobody_has_no_group(prepared):
    rows = read_unpredicted_segments(prepared, "dev")
    assert find_texts_sharing_examples(prepared, rows, 1) == [()] * len(rows)


@pytest.fixture
def spreadsheet(tmp_path):
    """A run's settings with a spreadsheet of texts that end without punctuation, and the run."""
    rows = "".join(f"楚王{i}入秦,楚王{i}/NR\n甲{i}。乙{i}。丙,\n" for i in range(20))
    (tmp_path / "labels.txt").write_text(f"text,entities\n{rows}", encoding="utf-8")
    return Config(train=[str(tmp_path / "labels.txt")]), Run(tmp_path / "run")


def test_texts_of_a_spreadsheet_become_sentences_and_what_it_was_taken_for_is_told(spreadsheet, caplog):
    config, run = spreadsheet
    with caplog.at_level(logging.INFO, "rayner"):
        facts = data.read_and_split_labelled_files(config, run)
    assert (
        f"train: {config.train[0]} was read as a spreadsheet (CSV, commas), a text with its entities a row; 40 texts, "
        "20 entities of 1 type"
    ) in caplog.messages
    texts = [example.text for example in data.read_part(run, data.ALL_PART)]
    assert texts[:5] == ["楚王0入秦", "甲0。", "乙0。", "丙", "楚王1入秦"]
    assert len(texts) == 80
    assert facts["types"] == ["NR"]


def test_naming_the_layout_that_was_recognised_changes_nothing(spreadsheet, tmp_path):
    config, run = spreadsheet
    inputs = data.collect_manifest_inputs(config)
    assert inputs["layout"] == "csv"
    assert data.collect_manifest_inputs(replace(config, layout="csv")) == inputs
    data.read_and_split_labelled_files(config, run)
    assert run.is_done_with_same_inputs("data", data.collect_manifest_inputs(replace(config, layout="csv")))
    (tmp_path / "more").write_text("楚\tS-NS\n", encoding="utf-8")
    both = replace(config, train=[*config.train, str(tmp_path / "more")])
    assert data.collect_manifest_inputs(both)["layout"] == dict(zip(both.train, ["csv", "evahan"], strict=True))
    with pytest.raises(DataError, match=r"more:1: .*; use layout=evahan"):
        data.read_and_split_labelled_files(replace(both, layout="csv"), Run(tmp_path / "other"))


def labelled_config(folder, n_files, n_sentences, by="auto"):
    """Settings of a run over files with the same number of sentences."""
    paths = []
    for i in range(n_files):
        path = folder / f"{i}.jsonl"
        rows = [json.dumps({"text": f"楚王{i}之{k}。", "entities": [[0, 2, "NR"]]}) for k in range(n_sentences)]
        path.write_text("\n".join(rows), encoding="utf-8")
        paths.append(str(path))
    return Config(train=paths, split=SplitConfig(by=by))


def passages_by_part(config, folder):
    run = Run(folder / f"run-{config.split.by}")
    facts = data.read_and_split_labelled_files(config, run)
    return facts, {name: [each.passage for each in data.read_part(run, name)] for name in ("train", "dev", "test")}


def test_ten_files_are_held_out_as_a_whole(tmp_path):
    facts, parts = passages_by_part(labelled_config(tmp_path, 10, 6), tmp_path)
    assert facts["held_out_by"] == "document"
    assert facts["passages"] == {"train": 8, "dev": 1, "test": 1}
    assert sorted(passage for part in parts.values() for passage in part) == [i for i in range(10) for _ in range(6)]
    assert not set(parts["train"]) & set(parts["dev"] + parts["test"])


def test_of_few_files_consecutive_sentences_are_held_out(tmp_path):
    facts, parts = passages_by_part(labelled_config(tmp_path, 2, 150), tmp_path)
    assert facts["held_out_by"] == "block"
    assert facts["passages"] == {"train": 24, "dev": 3, "test": 3}
    assert {name: len(part) for name, part in parts.items()} == {"train": 240, "dev": 30, "test": 30}
    predicted = read_unpredicted_segments(Run(tmp_path / "run-auto"), "test")
    assert [segment.passage for segment in predicted] == parts["test"]


def test_single_sentences_have_no_passage_and_the_inputs_of_runs_from_before(tmp_path):
    config = labelled_config(tmp_path, 2, 30, by="sentence")
    facts, parts = passages_by_part(config, tmp_path)
    assert facts["passages"] == {"train": 0, "dev": 0, "test": 0}
    assert {passage for part in parts.values() for passage in part} == {None}
    assert "split.by" not in data.collect_manifest_inputs(config)
    assert data.collect_manifest_inputs(replace(config, split=SplitConfig(by="block")))["split.by"] == "block"


def test_two_files_are_too_few_to_hold_out_whole_ones(tmp_path):
    config = labelled_config(tmp_path, 2, 30, by="document")
    expected = "^split.by=document: expected at least 3 labelled files, one a document, found 2; use split.by=block$"
    with pytest.raises(ConfigError, match=expected):
        passages_by_part(config, tmp_path)


def test_evidence_from_documents_is_not_fitted_to_single_sentences(tmp_path):
    config = labelled_config(tmp_path, 2, 30, by="sentence")
    config = replace(config, fusion=replace(config.fusion, rules=["regions", "documents"]))
    with pytest.raises(ConfigError, match=r"^fusion.rules: .*split.by=sentence.*found documents; use split.by=block$"):
        check_setting_values_and_combinations(config)
