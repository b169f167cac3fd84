"""A run whose LLM answers freely: the scores tell how its answers differ from copies, and the gate stays exact."""

import dataclasses

import pytest

from rayner.config.corpus_settings import CorpusConfig
from rayner.corpus.prediction_tables import read_predictions
from rayner.steps.score import predict_held_out_sentences
from rayner.steps.tag.tag_corpus import tag_corpus
from rayner.text.predictions import add_up_faults
from tests.cluster.small import PLAIN_TEXT, copied, rows_of, with_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def free(config):
    return with_settings(config, "llm", decoding="free", softmax_over="all")


def test_scores_count_what_free_answers_changed(run, free, tmp_path, caplog):
    scored = copied(run, tmp_path, "steps", "data", "models", "index")
    scored.forget_step("score")
    facts = predict_held_out_sentences(free, scored)
    for part in ("dev", "test"):
        rows = read_predictions(scored.path("scores", f"{part}.parquet"))
        answered = [row for row in rows if row.llm is not None]
        total = add_up_faults(row.llm.faults for row in answered)
        assert facts[part]["free_answers"] == dataclasses.asdict(total)
        assert total.answers >= len(answered) > 0
        assert all(row.llm.last_known_slot == len(row.text) for row in answered)


def test_the_gate_changes_no_tag_of_free_answers(run, free, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "史.txt").write_text(PLAIN_TEXT * 8, encoding="utf-8")
    rows = {}
    for exact in (True, False):
        out = tmp_path / f"exact-{exact}"
        config = with_settings(free, "gate", exact=exact)
        config = dataclasses.replace(config, corpus=CorpusConfig(str(tmp_path / "corpus")), out=str(out))
        tag_corpus(config, copied(run, tmp_path / str(exact), "steps", "data", "models", "index", "fusion.json"))
        rows[exact] = [(row["doc_id"], row["start"], row["end"], row["type"]) for row in rows_of(out, "entities")]
    assert rows[True] == rows[False]
