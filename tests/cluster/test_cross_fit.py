"""Cross-fitting: every training sentence is scored, by models and judged by a lexicon that never saw it."""

import pytest

from rayner.config.setting_checks import check_setting_values_and_combinations
from rayner.corpus.labelled_sentences import split_folds
from rayner.errors import ConfigError
from rayner.steps import data
from rayner.steps.fusion_rules import load_chosen_rule, read_tuned_fusion
from rayner.steps.pipeline import run_pipeline
from rayner.steps.training.cross_fit import fold_run, read_tuning_predictions_and_lexicons
from rayner.taggers.crf import load_crf
from tests.cluster.small import labelled_sentences, stamps, with_settings

pytestmark = pytest.mark.slow


def texts(run, part):
    return {example.text for example in data.read_part(run, part)}


def test_folds_part_the_training_sentences_and_none_is_trained_on_where_it_is_scored(with_crf):
    _, run = with_crf
    folds = [fold_run(run, i) for i in range(2)]
    assert texts(folds[0], "fold") | texts(folds[1], "fold") == texts(run, "train")
    assert not texts(folds[0], "fold") & texts(folds[1], "fold")
    for own in folds:
        assert not texts(own, "fold") & texts(own, "train")
        assert texts(own, "fold") | texts(own, "train") == texts(run, "train")
        assert texts(own, "dev") == texts(run, "dev")
        assert own.step_result("train_slm")["digest"] != run.step_result("train_slm")["digest"]
        clusters = (load_crf(each.local_path("models", "slm")).clusters for each in (own, run))
        assert next(clusters) == next(clusters)


def test_fusion_is_tuned_on_all_of_them(with_crf):
    config, run = with_crf
    rows, lexicons = read_tuning_predictions_and_lexicons(config, run)
    written = {text for text in texts(run, "train") | texts(run, "dev") if text.strip()}
    assert {row.text for row in rows} == written
    assert set(lexicons) == {"fold-0", "fold-1"} == {row.doc_id for row in rows} - {"dev"}
    assert {row.text for row in rows if row.doc_id == "fold-0"} <= texts(fold_run(run, 0), "fold")
    fusion = read_tuned_fusion(run)
    assert set(fusion.held_out_f1) == {"characters", "regions", "spans"}
    assert load_chosen_rule(fusion)


def test_a_fold_is_judged_by_a_lexicon_without_its_own_tags(with_crf):
    config, run = with_crf
    _, lexicons = read_tuning_predictions_and_lexicons(config, run)
    for i, known in enumerate(lexicons.values()):
        tags = sum(len(example.spans) for example in data.read_part(fold_run(run, i), "train"))
        assert sum(sum(counts.values()) for counts in known.type_counts.values()) == tags


def test_given_again_no_fold_is_done_over(with_crf):
    config, run = with_crf
    before = stamps(run.root, "folds")
    run_pipeline(config, run)
    assert stamps(run.root, "folds") == before


def test_copies_of_a_sentence_lie_in_one_part():
    parts = split_folds(labelled_sentences(), 3, seed=1)
    assert sum(map(len, parts)) == len(labelled_sentences())
    found = [{example.text for example in part} for part in parts]
    assert sum(map(len, found)) == len(set.union(*found))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("folds", [1, -2])
def test_folds_that_cannot_be_are_refused(config, folds):
    with pytest.raises(ConfigError, match=r"^split.folds"):
        check_setting_values_and_combinations(with_settings(config, "split", folds=folds))
