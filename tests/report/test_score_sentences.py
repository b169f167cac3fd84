"""The scores in words, and the warning that they were measured on too little."""

import dataclasses
import re

import pytest

from rayner.corpus.novelty import CorpusNovelty, NewChars, NewNames
from rayner.corpus.review.estimate import CorpusEstimate
from rayner.evaluation.calibration_records import PerfectCalibration, ReliabilityBin, SystemCalibration
from rayner.evaluation.metrics import Score
from rayner.evaluation.sample_estimate import EstimatedScore, EstimatedShare
from rayner.rendering.estimate_sentences import describe_missed_names
from rayner.report.score_sentences import describe_novelty, describe_shares, list_score_warnings
from tests.report.records import make_evaluation


def test_shares_are_told_by_hundred_in_both_languages():
    evaluation = make_evaluation()
    fused = evaluation.systems["fused"]
    said = describe_shares(evaluation)
    for text in (said.en, said.zh):
        for share in (fused.micro.precision, fused.micro.recall, fused.names.unseen.micro.recall):
            assert f" {100 * share:.0f} " in text
    assert "training never showed" in said.en


def test_the_recall_beside_the_confidence_is_that_of_the_corpus_else_of_the_held_out_sentences():
    evaluation, share = make_evaluation(), EstimatedShare(0.41, 0.33, 0.49)
    score = EstimatedScore(share, share, share, 9, 90, 90)
    estimate = CorpusEstimate(1000, 90, 90, True, score, {}, {}, {})
    of_corpus, held_out = describe_missed_names(estimate, evaluation), describe_missed_names(None, evaluation)
    assert "Of 100 names in this corpus about 41 are found (33 to 49)." in of_corpus.en
    assert "本语料中的每 100 个实体约找到 41 个（33 至 49）。" in of_corpus.zh
    recall = evaluation.systems["fused"].micro.recall
    assert f"Of 100 names in the held-out sentences about {100 * recall:.0f} are found" in held_out.en
    assert f"留出句子中的每 100 个实体约找到 {100 * recall:.0f} 个" in held_out.zh
    without_recall = dataclasses.replace(estimate, all=dataclasses.replace(score, recall=None))
    assert describe_missed_names(without_recall, evaluation) == held_out
    nowhere = describe_missed_names(None, None)
    assert "rayner review sample" in nowhere.en
    for text in (of_corpus, held_out, nowhere):
        assert text.en.startswith("Only entities that were tagged have a confidence. Names that were missed")


def test_what_is_new_in_the_corpus_is_told_beside_the_held_out_sentences_in_both_languages():
    novelty = CorpusNovelty(NewNames(1000, 419), NewChars(1000, 229, 1000, 871), NewChars(200, 13, 100, 60), ())
    said = describe_novelty(novelty)
    for text in (said.en, said.zh):
        assert re.findall(r"[\d.]+(?=%)", text) == ["22.9", "87.1", "41.9", "6.5", "60.0"]
    without = describe_novelty(dataclasses.replace(novelty, held_out=NewChars()))
    assert "held-out" not in without.en
    assert "留出" not in without.zh


def test_confidences_of_the_corpus_stand_beside_the_lowest_fifth_of_the_held_out_ones():
    bins = tuple(ReliabilityBin(i / 10, i / 10 + 0.06, i / 10, 0.5, 7) for i in range(10))
    fused = SystemCalibration(70, 0.1, bins, PerfectCalibration(0.1, 0.2))
    evaluation = dataclasses.replace(make_evaluation(), calibration={"fused": fused})
    counts = tuple(3 if i < 16 else 1 for i in range(100))  # 48 of 132 below 0.16
    novelty = CorpusNovelty(NewNames(132, 1), NewChars(9, 1, 8, 1), NewChars(), (), counts)
    said = describe_novelty(novelty, evaluation)
    assert "20 have a confidence below 0.16; of 100 names of the corpus, 36 do." in said.en
    assert "置信度低于 0.16；语料中每 100 个有 36 个" in said.zh
    for other in (dataclasses.replace(evaluation, calibration={}), None):
        assert "confidence" not in describe_novelty(novelty, other).en
    assert "confidence" not in describe_novelty(dataclasses.replace(novelty, score_counts=()), evaluation).en


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
    warnings = list_score_warnings(few, None)
    assert bool(warnings) == warned
    if warned:
        assert f"{n_sentences} sentences with {n_names} names" in warnings[0].en


@pytest.mark.parametrize(
    ("tagged", "new", "warned"), [(1000, 299, False), (1000, 301, True), (49, 49, False), (50, 50, True), (0, 0, False)]
)
def test_a_corpus_with_more_new_names_than_the_held_out_sentences_is_warned_of(tagged, new, warned):
    """Of the names found in the held-out sentences, two of ten are new."""
    evaluation = make_evaluation()
    fused = dataclasses.replace(evaluation.systems["fused"], micro=Score(300, 300, 300))
    seen, unseen = (dataclasses.replace(fused.names.seen, micro=Score(1, n_predicted, 9)) for n_predicted in (80, 20))
    fused = dataclasses.replace(fused, names=dataclasses.replace(fused.names, seen=seen, unseen=unseen))
    evaluation = dataclasses.replace(evaluation, n_sentences=100, systems={"fused": fused})
    warnings = list_score_warnings(evaluation, NewNames(tagged, new))
    assert [text.en.startswith("Of 100 names tagged in the corpus") for text in warnings] == [True] * warned
    if warned:
        shares = f"{100 * new / tagged:.0f} are names that training never showed; in the held-out sentences 20."
        assert shares in warnings[0].en
        assert "训练文本" in warnings[0].zh


def test_without_scores_there_is_nothing_to_warn_of():
    assert list_score_warnings(None, NewNames(100, 100)) == []
