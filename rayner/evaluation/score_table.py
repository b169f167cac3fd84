"""Scores as a table for the terminal."""

from rayner.evaluation.artifact import Evaluation, FileEvaluation, SystemScores
from rayner.evaluation.metrics import IntervalScore


def format_score_table(evaluation: Evaluation | FileEvaluation) -> str:
    """Format the scores as a table for the terminal. Shares and F1 are in percent."""
    width = max([16, *(len(type_) for type_ in evaluation.types)])
    blocks = [f"{evaluation.n_sentences:,} sentences, {evaluation.n_chars:,} characters; percent, 95% intervals of F1"]
    blocks += [_format_system(name, system, width) for name, system in evaluation.systems.items() if "_" not in name]
    rules = [_format_micro_line(name, system, 18) for name, system in evaluation.systems.items() if "_" in name]
    blocks += ["\n".join(["each rule, all entities (micro)", *rules])] if rules else []
    pairs = [
        f"{pair:<35} {100 * difference:+6.2f}  {100 * low:+.2f} to {100 * high:+.2f}"
        for pair, (difference, low, high) in evaluation.paired.items()
    ]
    blocks += ["difference in F1, points\n" + "\n".join(pairs)] if pairs else []
    worth = evaluation.llm_worth if isinstance(evaluation, Evaluation) else None
    return "\n\n".join([*blocks, *([worth.describe()] if worth else [])]) + "\n"


def _format_system(name: str, system: SystemScores, width: int) -> str:
    lines = [f"{name:<{width}}  {'gold':>7} {'found':>7} {'right':>7}  {'prec.':>6} {'recall':>6} {'F1':>6}  interval"]
    lines.append("-" * len(lines[0]))
    lines += [_format_score_line(type_, score, width) for type_, score in system.per_type.items()]
    lines.append(_format_micro_line("all (micro)", system, width))
    gap = " " * 41
    lines.append(f"{'macro over types':<{width}}{gap}{100 * system.macro_f1:6.2f}")
    for classes, macro in system.token.by_name().items():
        label = f"token macro, {classes.removesuffix('_o').replace('_', ' ')} O"
        shares = " ".join(f"{100 * share:6.2f}" for share in (macro.precision, macro.recall, macro.f1))
        low, high = macro.interval
        lines.append(f"{label:<{width + 27}}{shares}  {100 * low:.2f} to {100 * high:.2f}")
    return "\n".join(lines)


def _format_micro_line(label: str, system: SystemScores, width: int) -> str:
    micro = IntervalScore(system.micro.right, system.micro.predicted, system.micro.gold, system.interval)
    return _format_score_line(label, micro, width)


def _format_score_line(label: str, score: IntervalScore, width: int) -> str:
    counts = f"{score.gold:7,} {score.predicted:7,} {score.right:7,}"
    shares = " ".join(f"{100 * share:6.2f}" for share in (score.precision, score.recall, score.f1))
    low, high = score.interval
    return f"{label:<{width}}  {counts}  {shares}  {100 * low:.2f} to {100 * high:.2f}"
