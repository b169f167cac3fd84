"""A run whose LLM scores the candidates: none is left out, the learned rule reads them, all ways to tag agree."""

import shutil
from dataclasses import replace

import pytest

from rayner.corpus.prediction_tables import read_predictions
from rayner.fusion.calibration import Calibration
from rayner.fusion.learned.span_features import CANDIDATE_SCORE_FEATURES, candidate_spans
from rayner.fusion.region_rule import RegionRule
from rayner.runs.run_folder import Run
from rayner.steps.fusion_rules import read_tuned_fusion, write_tuned_fusion
from rayner.steps.tag.tag_corpus import tag_corpus
from tests.cluster.small import PLAIN_TEXT, files_of, rows_of, with_settings
from tests.cluster.test_fusing_again import same_but_for_rounding

pytestmark = pytest.mark.slow


def test_every_candidate_of_the_held_out_sentences_is_scored(with_crf):
    _, run = with_crf
    types, n_scores = run.entity_types(), 0
    for path in ("scores/dev.parquet", "scores/test.parquet", "folds/0/scores/fold.parquet"):
        for row in read_predictions(run.local_path(path)):
            scored = {score.span for score in row.llm.candidate_scores}
            assert scored == {*candidate_spans(row, types)}, row.text
            n_scores += len(scored)
    assert n_scores > 20


def test_the_fusion_reads_the_scores_and_its_control_does_not(with_crf):
    fusion = read_tuned_fusion(with_crf[1])
    assert fusion.span_rule.candidate_scores
    assert not fusion.control.span_rule.candidate_scores
    assert fusion.control.span_rule.named_weights["LLM category"] == 0


@pytest.fixture(scope="module")
def settings(with_crf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(3):
        (folder / f"{i}.txt").write_text(PLAIN_TEXT * 3 + "楚懷王入秦而張儀為相。" * (i + 1), encoding="utf-8")
    return replace(with_settings(with_crf[0], "score", unit_chars=60), corpus=str(folder))


@pytest.fixture(scope="module")
def runs(with_crf, tmp_path_factory):
    """One tags with a rule that the scores decide, the other by regions and never reads on to the end."""
    made = {}
    for name in ("spans", "regions"):
        folder = tmp_path_factory.mktemp("runs") / name
        shutil.copytree(with_crf[1].root, folder)
        made[name] = Run(folder)
        fusion = read_tuned_fusion(made[name])
        named = fusion.span_rule.named_weights
        weights = tuple(0.5 if key in CANDIDATE_SCORE_FEATURES else value / 4 for key, value in named.items())
        rule = replace(fusion.span_rule, weights=weights, threshold=0.5)
        fusion = replace(fusion, chosen=name, calibration=Calibration(), span_rule=rule, region_rule=RegionRule(0.02))
        write_tuned_fusion(made[name], fusion)
    return made


def test_gate_drafts_and_fusing_again_give_the_tags_of_a_whole_reading(runs, settings, tmp_path):
    def tagged(name, run="spans", **others):
        out = tmp_path / name
        tag_corpus(replace(settings, out=str(out), **others), runs[run])
        return out

    plain = tagged("plain")
    assert rows_of(plain, "entities")
    score = replace(settings.score, draft=False)
    for other in (tagged("greedy", score=score), tagged("open", gate=replace(settings.gate, exact=False))):
        same_but_for_rounding(other, plain, "entities")
    again = tagged("again", run="regions")
    assert rows_of(again, "entities") != rows_of(plain, "entities")
    tagged("again")
    for table in ("entities", "segments"):
        same_but_for_rounding(again, plain, table)
    before = files_of(plain)
    tagged("plain")
    assert files_of(plain) == before
