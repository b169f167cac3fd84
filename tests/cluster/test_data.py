"""Labelled data as a run keeps it: its parts, and the neighbours of a sentence in its file."""

import pytest

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
