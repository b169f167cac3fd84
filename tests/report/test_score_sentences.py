"""The scores in words, and the warning that they were measured on too little."""

import dataclasses

import pytest

from rayner.evaluation.metrics import Score
from rayner.report.score_sentences import describe_shares, list_warnings_of_few_names
from tests.report.records import make_evaluation


def test_shares_are_told_by_hundred_in_both_languages():
    evaluation = make_evaluation()
    fused = evaluation.systems["fused"]
    said = describe_shares(evaluation)
    for text in (said.en, said.zh):
        for share in (fused.micro.precision, fused.micro.recall, fused.names.unseen.micro.recall):
            assert f" {100 * share:.0f} " in text
    assert "training never showed" in said.en


def test_without_unseen_names_nothing_is_said_of_them():
    evaluation = make_evaluation()
    fused = evaluation.systems["fused"]
    unseen = dataclasses.replace(fused.names.unseen, micro=Score(0, 0, 0))
    names = dataclasses.replace(fused.names, unseen=unseen)
    systems = {"fused": dataclasses.replace(fused, names=names)}
    assert "training" not in describe_shares(dataclasses.replace(evaluation, systems=systems)).en


@pytest.mark.parametrize(("n_sentences", "n_names", "warned"), [(100, 300, False), (99, 300, True), (100, 299, True)])
def test_few_sentences_or_names_are_warned_of(n_sentences, n_names, warned):
    evaluation = make_evaluation()
    fused = dataclasses.replace(evaluation.systems["fused"], micro=Score(1, 1, n_names))
    few = dataclasses.replace(evaluation, n_sentences=n_sentences, systems={"fused": fused})
    warnings = list_warnings_of_few_names(few)
    assert bool(warnings) == warned
    if warned:
        assert f"{n_sentences} sentences with {n_names} names" in warnings[0].en
