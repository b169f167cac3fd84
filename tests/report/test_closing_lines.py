"""The last lines of a job say in words how good the tags are, and count what is not in the output."""

import dataclasses

from rayner.corpus.ignored_files import IgnoredGroup
from rayner.corpus.run_record import CorpusCounts, RunRecord
from rayner.evaluation.artifact import Evaluation
from rayner.report.closing_lines import describe_left_out, describe_scores, describe_tagged
from rayner.report.score_sentences import describe_shares
from tests.report.records import make_evaluation


def test_scores_are_told_in_words():
    evaluation = make_evaluation()
    assert isinstance(evaluation, Evaluation)
    fused = evaluation.systems["fused"]
    micro, names = fused.micro, fused.names
    said = describe_scores(evaluation)
    assert said.startswith(f"scores: {describe_shares(evaluation).en} Measured on ")
    low, high = (f"{100 * value:.0f}" for value in names.precision_interval)
    assert f"about {100 * micro.precision:.0f} are right ({low} to {high})" in said
    assert 0 < names.unseen.micro.gold < micro.gold
    assert f"that training never showed, about {100 * names.unseen.micro.recall:.0f} are found" in said
    assert f"{evaluation.n_sentences:,} test sentences with {micro.gold:,} names: F1 {100 * micro.f1:.1f}% (" in said
    assert "the small model alone" in said
    assert "the LLM alone" in said
    without = dataclasses.replace(
        evaluation, systems={name: scores for name, scores in evaluation.systems.items() if name != "llm"}
    )
    assert "LLM" not in describe_scores(without)
    assert describe_scores(None) == "scores: none, because there are no test sentences (split.test)"


def record(**changes):
    """The record of a corpus of which all was tagged, with changes."""
    counts = CorpusCounts(1, 9, 2, 0, changes.pop("set_aside", 0), 0, 1, {"slm": 1}, 0.0)
    return RunRecord(
        **{
            "config": {}, "config_digest": "", "version": "", "inputs": {}, "models": {}, "rule": {}, "basis": "none",
            "asks_llm": False, "llm": "", "counts": counts, "unread": {}, "empty": [], "changed": {}, "llm_worth": None,
            "seconds": 1.0, **changes,
        }
    )  # fmt: skip


def test_what_was_left_out_is_counted():
    assert describe_left_out(None) == describe_left_out(record(), 0, "OUT") == "left out: nothing"
    assert describe_left_out(None, 2, "OUT") == "left out: 2 labelled sentences set aside after failures"
    ignored = {".html": IgnoredGroup(2, ("a.html", "b.html")), ".docx": IgnoredGroup(1, ("c.docx",))}
    partial = record(set_aside=3, unread={"a": "", "b": ""}, ignored=ignored, empty=["e"], changed={"f": "is new"})
    assert describe_left_out(partial, 1, "OUT") == (
        "left out: 1 labelled sentence set aside after failures, 3 segments set aside after failures, "
        "2 files not readable, 3 files ignored (1 .docx, 2 .html), 1 file empty, "
        "1 file changed since they were read; OUT/run.json names them"
    )


def test_where_the_entities_are_and_which_commands_show_them():
    assert describe_tagged(record(), "OUT").startswith("tagged: 1 entities in 1 document, in OUT; to look at them: ")
