"""The last lines of a job's log: the scores in words, where the tagged corpus is, and what was left out."""

from rayner.corpus.run_record import RunRecord
from rayner.evaluation.artifact import Evaluation
from rayner.report.score_sentences import describe_shares

_SYSTEM_NAMES = {"slm": "the small model alone", "llm": "the LLM alone"}


def describe_scores(evaluation: Evaluation | None) -> str:
    """Say in words how many names of the test sentences were found, and how many of those found are right."""
    if evaluation is None:
        return "scores: none, because there are no test sentences (split.test)"
    fused = evaluation.systems["fused"]
    others = [
        f"{label} {100 * evaluation.systems[name].micro.f1:.1f}"
        for name, label in _SYSTEM_NAMES.items()
        if name in evaluation.systems
    ]
    low, high = fused.interval
    f1 = f"F1 {100 * fused.micro.f1:.1f}% (95% interval {100 * low:.1f} to {100 * high:.1f})"
    shares = describe_shares(evaluation)
    return (
        f"scores: {f'{shares.en} ' if shares else ''}Measured on {evaluation.n_sentences:,} test sentences with "
        f"{fused.micro.gold:,} names: {f1}; {', '.join(others)}"
    )


def describe_left_out(record: RunRecord | None, n_held_out_set_aside: int = 0, place: str = "") -> str:
    """Say what of the inputs is not in the output, as counts.

    Args:
        record: The record of the tagged corpus; None without a corpus.
        n_held_out_set_aside: The number of labelled sentences that failed.
        place: The folder of the tagged corpus, whose `run.json` has the names.

    """
    parts = [_count(n_held_out_set_aside, "labelled sentence", "set aside after failures")]
    if record:
        n_ignored = sum(group.files for group in record.ignored.values())
        by_suffix = ", ".join(f"{group.files:,} {name}" for name, group in sorted(record.ignored.items()))
        parts += [
            _count(record.counts.set_aside, "segment", "set aside after failures"),
            _count(len(record.unread), "file", "not readable"),
            _count(n_ignored, "file", f"ignored ({by_suffix})"),
            _count(len(record.empty), "file", "empty"),
            _count(len(record.changed), "file", "changed since they were read"),
        ]
    left_out = ", ".join(filter(None, parts))
    if not left_out:
        return "left out: nothing"
    return f"left out: {left_out}{f'; {place}/run.json names them' if record and place else ''}"


def describe_tagged(record: RunRecord, folder: str) -> str:
    """Say how many entities were tagged, where they are, and which commands show them.

    folder: the folder of the tagged corpus.
    """
    counts = record.counts
    return (
        f"tagged: {counts.entities:,} entities in {counts.documents:,} document{'' if counts.documents == 1 else 's'}, "
        f"in {folder}; to look at them: rayner view {folder} --serve; "
        f"for a spreadsheet: rayner export {folder} --to csv --bom OUT"
    )


def _count(n: int, noun: str, what: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'} {what}" if n else ""
